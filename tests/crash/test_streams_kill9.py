"""kill -9 while 8 shards are written to through the Kinesis API, and split and merged all the while: what was acknowledged is there,
once, under its sequence number, in order, whether blocks are compressed or, from a restart on, not; `weir stream verify` finds every file whole, beside the running program too."""
import os
import random
import subprocess
import time

from kinesis import Client, Producer, Resharder, check_records, check_shards, start_all, stop_all, wait_acknowledged
from weir import PROGRAM, pipeline

PRODUCERS = 8
ROUNDS = int(os.environ.get("WEIR_STREAM_KILL_ROUNDS", "3"))


def config(compression, **stream):
    return pipeline(streams={"many": {"shard_count": 8, "compression": compression, **stream}}, api={"bind": "127.0.0.1:0", "auth": "open"}, rules=None, functions=None,
                    event_source_mappings=None, delivery_streams=None, buckets=None, redis={"url": "redis://127.0.0.1:1"})


def verify(weir):
    result = subprocess.run([PROGRAM, "stream", "verify", weir.path("data")], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def test_streams_survive_kill_9_with_splits_and_merges_going_on(make_weir):
    seed = int(os.environ.get("WEIR_SEED", str(random.randrange(1 << 30))))
    print("seed", seed)
    chance = random.Random(seed)
    weir = make_weir(config("zstd"))
    port = lambda: weir.port("api")  # noqa: E731
    producers = [Producer(number, port) for number in range(PRODUCERS)]
    resharder = Resharder(port, seed)
    start_all(*producers, resharder)
    for number in range(ROUNDS):
        wait_acknowledged(producers, 1)
        time.sleep(chance.uniform(0, 0.6))
        if number % 10 == 0:
            verify(weir)
        weir.kill()
        if number % 10 == 0:
            verify(weir)
        weir.write_config(config("none" if number % 2 else "zstd"))
        weir.start()
    wait_acknowledged(producers, 20)
    stop_all(*producers, resharder)
    client = Client(port)
    check_shards(client, "many")
    check_records(client, "many", weir.stream_records("many"), producers)
    print(sum(len(producer.acknowledged) for producer in producers), "acknowledged,", resharder.changes, "splits and merges")
    assert resharder.changes > ROUNDS / 2
    assert weir.metric("weir_stream_damaged_total") == 0
    assert weir.stop() == 0
    verify(weir)


def test_records_of_ten_mebibytes_survive_kill_9(make_weir):
    """Among small ones, which share their commits."""
    weir = make_weir(config("none", max_record_size="10MiB", shard_count=2))
    port = lambda: weir.port("api")  # noqa: E731
    large = [Producer(0, port, batch=1, pause_s=0.2, padding=3 << 20), Producer(1, port, batch=1, pause_s=0.2, padding=(10 << 20) - 100)]
    small = [Producer(number, port) for number in (2, 3)]
    start_all(*large, *small)
    for compression in ("zstd", "none"):
        wait_acknowledged(large, 2)
        weir.kill()
        verify(weir)
        weir.write_config(config(compression, max_record_size="10MiB", shard_count=2))
        weir.start()
    wait_acknowledged(large, 1)
    stop_all(*large, *small)
    check_records(Client(port), "many", weir.stream_records("many"), [*large, *small])
    assert weir.metric("weir_stream_damaged_total") == 0
    assert weir.stop() == 0
    verify(weir)
