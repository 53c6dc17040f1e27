"""Streams on disk and their named consumers: verify, damaged blocks, cursors that go on where they stopped."""
import glob
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))

from kinesis import Client  # noqa: E402
from weir import PROGRAM, pipeline, wait_for  # noqa: E402


def config(**changes):
    settings = dict(streams={"s": {"shard_count": 2}}, api={"bind": "127.0.0.1:0", "auth": "open"}, rules=None, functions=None,
                    event_source_mappings=None, delivery_streams=None, buckets=None, redis={"url": "redis://127.0.0.1:1"})
    settings.update(changes)
    return pipeline(**settings)


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


def put(weir, *texts, shard=0):
    """One record per call, so that each has a block of its own."""
    import base64
    client = Client(lambda: weir.port("api"))
    for text in texts:
        client("PutRecord", StreamName="s", PartitionKey="k", Data=base64.b64encode(text.encode()).decode(),
               ExplicitHashKey="0" if shard == 0 else str(1 << 127))
    client.close()


def read(weir, *arguments):
    return run("stream", "read", "s", "--raw", "--data", weir.path("data"), *arguments).stdout.split()


def segment(weir):
    return glob.glob(weir.path("data/streams/s/shardId-000000000000/*.seg"))[0]


def damage(weir, text):
    """Turns over a byte of the record's data."""
    path = segment(weir)
    with open(path, "r+b") as file:
        content = file.read()
        at = content.index(text.encode())
        file.seek(at)
        file.write(bytes([content[at] ^ 0xFF]))
    return path


def test_verify_beside_a_running_program_and_without_one(make_weir):
    weir = make_weir(config())
    put(weir, *(f"record-{number}" for number in range(10)))
    result = run("stream", "verify", weir.path("data"))
    assert result.returncode == 0 and "10 records" in result.stdout and ": 0 faults" in result.stdout, result.stdout
    path = damage(weir, "record-4")
    result = run("stream", "verify", "--data", weir.path("data"))
    assert result.returncode == 1
    assert f"{path}: byte " in result.stdout and "records 4 to 4" in result.stdout and "1 faults" in result.stdout, result.stdout
    assert run("stream", "verify", weir.path("nothing")).returncode == 2
    weir.kill()
    assert run("stream", "verify", weir.path("data")).returncode == 1


def test_damaged_blocks_are_passed_over_counted_and_told(make_weir):
    weir = make_weir(config())
    put(weir, *(f"record-{number}" for number in range(6)))
    damage(weir, "record-2")
    assert read(weir) == [f"record-{number}" for number in (0, 1, 3, 4, 5)]
    assert "records 2 to 2 are lost" in run("stream", "read", "s", "--data", weir.path("data")).stderr
    client = Client(lambda: weir.port("api"))
    iterator = client("GetShardIterator", StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    assert len(client("GetRecords", **iterator)["Records"]) == 5
    client.close()
    wait_for(lambda: weir.metric("weir_stream_damaged_records_total") == 1, what="the count")
    assert weir.metric("weir_stream_damaged_total") == 1 and "records 2 to 2" in weir.log()


def test_a_stream_may_stop_at_damage_instead(make_weir):
    weir = make_weir(config(corrupted_blocks="skip", streams={"s": {"shard_count": 2, "corrupted_blocks": "stop"}}))
    put(weir, *(f"record-{number}" for number in range(6)))
    damage(weir, "record-2")
    client = Client(lambda: weir.port("api"))
    iterator = client("GetShardIterator", StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    page = client("GetRecords", **iterator, Limit=2)
    assert len(page["Records"]) == 2
    with pytest.raises(Exception, match="InternalFailure.*damaged"):
        client("GetRecords", ShardIterator=page["NextShardIterator"])
    client.close()
    assert "not passed over" in weir.log()
    assert weir.stop() == 0
    with pytest.raises(AssertionError, match="corrupted_blocks is stop"):
        weir.start()
    weir.write_config(config())
    weir.start()
    put(weir, "after")
    assert read(weir)[-1] == "after"


def test_consumers_go_on_where_they_stopped(make_weir):
    weir = make_weir(config())
    put(weir, "a", "b", "c")
    put(weir, "x", shard=1)
    assert read(weir, "--consumer", "one", "--count", "2") == ["a", "b"]
    assert read(weir, "--consumer", "two", "--from", "LATEST") == []
    assert read(weir, "--consumer", "one") == ["c", "x"]
    assert read(weir, "--consumer", "one") == []
    put(weir, "d")
    put(weir, "y", shard=1)
    assert read(weir, "--consumer", "two", "--from", "TRIM_HORIZON") == ["d", "y"]

    # What is behind is shown while Weir runs, and by the command.
    wait_for(lambda: weir.metrics()['weir_stream_consumer_lag_records{stream="s",consumer="one"}'] == 2, what="the lag")
    assert weir.metrics()['weir_stream_consumer_lag_records{stream="s",consumer="two"}'] == 0
    assert weir.metric("weir_stream_consumers") == 2
    wait_for(lambda: weir.metrics()['weir_stream_consumer_lag_seconds{stream="s",consumer="one"}'] >= 1, what="the age")
    lines = run("stream", "consumers", "ls", "--data", weir.path("data")).stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["s", "one", "2"], ["s", "two", "0"]]

    # Positions outlive the program, and are there without it.
    weir.kill()
    assert read(weir, "--consumer", "one") == ["d", "y"]
    weir.start()
    assert read(weir, "--consumer", "one") == []
    assert run("stream", "consumers", "rm", "s", "one", "--data", weir.path("data")).returncode == 0
    assert run("stream", "consumers", "rm", "s", "one", "--data", weir.path("data")).returncode == 1
    assert read(weir, "--consumer", "one") == ["a", "b", "c", "d", "x", "y"]
    result = run("stream", "read", "s", "--consumer", "no/slash", "--data", weir.path("data"))
    assert result.returncode == 1 and "no/slash" in result.stderr


def test_a_consumer_follows_splits_and_ends_with_its_stream(make_weir):
    weir = make_weir(config(streams=None))
    client = Client(lambda: weir.port("api"))
    client("CreateStream", StreamName="s", ShardCount=1)
    put(weir, "a")
    assert read(weir, "--consumer", "c") == ["a"]
    put(weir, "b")
    client("SplitShard", StreamName="s", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 127))
    put(weir, "c")
    assert read(weir, "--consumer", "c") == ["b", "c"]
    wait_for(lambda: weir.metric("weir_stream_consumers") == 1, what="the consumer")
    client("DeleteStream", StreamName="s")
    wait_for(lambda: weir.metric("weir_stream_consumers") == 0, what="the consumer's end")
    client("CreateStream", StreamName="s", ShardCount=1)
    put(weir, "new")
    assert read(weir, "--consumer", "c") == ["new"]
    client.close()


def test_a_following_consumer_that_is_killed_loses_nothing(make_weir):
    weir = make_weir(config())
    seen = []
    for round_number in range(3):
        reader = subprocess.Popen([PROGRAM, "stream", "read", "s", "--follow", "--consumer", "f", "--data", weir.path("data")],
                                  stdout=subprocess.PIPE, text=True)
        put(weir, *(f"{round_number}-{number}" for number in range(5)))
        while f"{round_number}-4" not in seen:
            seen.append(json.loads(reader.stdout.readline())["data"])
        reader.kill()
        reader.wait()
        reader.stdout.close()
    assert set(seen) == {f"{r}-{n}" for r in range(3) for n in range(5)}
