"""A disk that becomes full, or read-only, while 8 shards are written to: producers are told, readers go on, nothing acknowledged is
lost; with room again the same process goes on, with a disk that can be written to again the next one does."""
import base64
import os
import socket
import struct
import subprocess

import pytest

import weir as weir_module
from kinesis import Client, Producer, Refused, check_records, start_all, stop_all, wait_acknowledged
from weir import PROGRAM, pipeline, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")

PRODUCERS = 8
BALLAST = 24 << 20
READING = b"x" * 100000  # larger than what small records leave free


def config():
    rule = {"sql": "SELECT * FROM 'in'", "actions": [{"kinesis": {"stream_name": "many", "partition_key": "mqtt"}}]}
    return pipeline(streams={"many": {"shard_count": 8}}, api={"bind": "127.0.0.1:0", "auth": "open"}, rules={"in": rule},
                    functions=None, event_source_mappings=None, delivery_streams=None, buckets=None,
                    redis={"url": "redis://127.0.0.1:1"})


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path):
    """disk(mount arguments) -> a Weir on a file system of its own."""
    place = str(tmp_path / "disk")
    os.mkdir(place)
    made = []

    def make(*arguments):
        mount(*arguments, place)
        made.append(weir_module.Weir(place, config()).start())
        return made[0]

    yield make
    for weir in made:
        if weir.process is not None:
            weir.kill()
        print(weir.log()[-4000:])
    subprocess.run(["umount", place], check=False)


def publish(port):
    """The reason code of one MQTT 5.0 publish with QoS 1."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connect = b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01p"
        connection.sendall(b"\x10" + bytes([len(connect)]) + connect)
        connack = connection.recv(2)
        while len(connack) < 2 + connack[1]:
            connack += connection.recv(4096)
        body = struct.pack(">H", 2) + b"in" + struct.pack(">H", 1) + b"\x00" + READING
        length = bytes([len(body) % 128 | 128, len(body) // 128 % 128 | 128, len(body) // 16384])
        connection.sendall(b"\x32" + length + body)
        puback = connection.recv(4096)
        assert puback[0] == 0x40
        return puback[4] if puback[1] > 2 else 0


def read_first(client, shard="shardId-000000000000"):
    iterator = client("GetShardIterator", StreamName="many", ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    return [base64.b64decode(record["Data"]) for record in client("GetRecords", ShardIterator=iterator, Limit=10)["Records"]]


def readable_shards(client):
    return [shard for shard in (f"shardId-{number:012}" for number in range(8)) if read_first(client, shard)]


def wait_refused(producers):
    counts = [len(producer.refused) for producer in producers]
    wait_for(lambda: all(len(producer.refused) > count + 20 for producer, count in zip(producers, counts)), timeout_s=60,
             what="all producers to be told")


def verify(weir):
    result = subprocess.run([PROGRAM, "stream", "verify", weir.path("data")], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def load(weir, padding):
    producers = [Producer(number, lambda: weir.port("api"), padding=padding) for number in range(PRODUCERS)]
    start_all(*producers)
    wait_acknowledged(producers, 20)
    return producers


def test_a_full_disk(disk):
    weir = disk("-t", "tmpfs", "-o", "size=64m", "none")
    with open(weir.path("ballast"), "wb") as ballast:
        ballast.write(b"\0" * BALLAST)
    producers = load(weir, padding=4000)
    wait_refused(producers)
    client = Client(lambda: weir.port("api"))
    shards = readable_shards(client)
    assert shards
    assert publish(weir.port()) == 0x97
    assert set(refusal for producer in producers for refusal in producer.refused) <= {"InternalFailure"}
    wait_refused(producers)
    assert readable_shards(client) == shards

    # Room again, without a restart.
    process = weir.process.pid
    os.unlink(weir.path("ballast"))
    for producer in producers:
        producer.pause_s = 0.05
    wait_acknowledged(producers, 20)
    assert publish(weir.port()) == 0
    stop_all(*producers)
    assert weir.process.pid == process
    check_records(client, "many", [record for record in weir.stream_records("many") if record["partition_key"] != "mqtt"], producers)
    verify(weir)
    assert weir.stop() == 0
    verify(weir)


def make_ext4(path):
    with open(path, "wb") as image:
        image.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True, capture_output=True)


def test_a_disk_that_becomes_read_only(disk, tmp_path):
    """As ext4 does by itself when the disk under it fails: the file system is aborted while files are open for writing."""
    image = str(tmp_path / "image")
    make_ext4(image)
    weir = disk("-o", "loop", image)
    producers = load(weir, padding=100)
    mount("-o", "remount,abort", weir.directory)
    wait_refused(producers)
    client = Client(lambda: weir.port("api"))
    assert readable_shards(client)
    assert publish(weir.port()) == 0x97
    with pytest.raises(Refused):
        client("SplitShard", StreamName="many", ShardToSplit="shardId-000000000000", NewStartingHashKey="1")
    verify(weir)
    stop_all(*producers)
    weir.stop()

    subprocess.run(["umount", weir.directory], check=True)
    subprocess.run(["e2fsck", "-y", image], check=False, capture_output=True)
    mount("-o", "loop", image, weir.directory)
    weir.write_config(config())  # nobody had synced the old one
    weir.start()
    verify(weir)
    check_records(Client(lambda: weir.port("api")), "many", weir.stream_records("many"), producers)
    assert publish(weir.port()) == 0
    assert weir.stop() == 0
