"""Several Weirs on one topic and one Redis: they share the shards, and what one leaves undone another does."""
import os
import subprocess
import time
import uuid

import paho.mqtt.client as mqtt
import pytest
import redis

from engines import REAL_BROKERS, Devices, Kafka
from weir import pipeline, wait_for

PARTITIONS = 4
THOROUGH = REAL_BROKERS or os.environ.get("WEIR_NODES_THOROUGH")


@pytest.fixture
def kafka():
    cluster = Kafka()
    yield cluster
    cluster.close()


@pytest.fixture
def shared_redis(tmp_path):
    path = str(tmp_path / "redis.sock")
    process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", str(tmp_path)],
                               stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=path)
    wait_for(client.ping)
    yield client
    process.terminate()
    process.wait()


def session_ms(kafka):
    """A real broker grants no less than 6 s; the mock lets members wait a second less than this for each other."""
    return "4000" if kafka.mock else "6000"


def node(make_weir, kafka, topic, shared_redis):
    path = shared_redis.connection_pool.connection_kwargs["path"]
    settings = kafka.settings(topic, group="nodes", properties={"session.timeout.ms": "6000", "heartbeat.interval.ms": "300"})
    return make_weir(pipeline(streams={"sensors": {"kafka": settings}}, redis={"url": f"unix://{path}"}))


def publish(weir, count):
    client = mqtt.Client(client_id=f"publisher-{uuid.uuid4().hex}")
    client.connect("127.0.0.1", weir.port())
    client.loop_start()
    for info in [client.publish("topic/sensors", f'{{"reading": {i}}}', qos=1) for i in range(count)]:
        info.wait_for_publish(30)
    client.loop_stop()
    client.disconnect()


def owned(weir):
    return int(weir.metric("weir_engine_owned_shards"))


def counted(shared_redis):
    return int(shared_redis.get("sensorCount") or 0)


def test_nodes_share_the_shards_and_take_over(make_weir, kafka, shared_redis):
    topic = kafka.topic(PARTITIONS)
    first = node(make_weir, kafka, topic, shared_redis)
    wait_for(lambda: owned(first) == PARTITIONS, 60, what="all shards at the only node")
    publish(first, 100)
    wait_for(lambda: counted(shared_redis) == 100, 30, what="100 counted")

    second = node(make_weir, kafka, topic, shared_redis)
    wait_for(lambda: owned(first) == owned(second) == PARTITIONS // 2, 60, what="half of the shards each")
    publish(first, 100)
    publish(second, 100)
    wait_for(lambda: counted(shared_redis) == 300, 30, what="300 counted")
    assert second.metric("weir_mapping_records_total") > 0

    end = first.kill if THOROUGH else first.stop  # the mock takes its time to miss a member
    end()
    publish(second, 100)
    wait_for(lambda: owned(second) == PARTITIONS, 60, what="the shards of the node that died")
    wait_for(lambda: counted(shared_redis) == 400, 30, what="400 counted")

    if not THOROUGH:
        return
    assert second.stop() == 0
    publish_later = node(make_weir, kafka, topic, shared_redis)
    publish(publish_later, 50)
    wait_for(lambda: counted(shared_redis) == 450, 60, what="450 counted")
    time.sleep(0.5)
    assert counted(shared_redis) == 450, "each record counts once, whichever node worked on it"


def delivering(make_weir, kafka, topic, bucket, start=True):
    """A node whose delivery stream has the topic as its buffer."""
    settings = kafka.settings(topic, group="nodes", properties={"session.timeout.ms": session_ms(kafka), "heartbeat.interval.ms": "500"})
    rule = {"sql": "SELECT * FROM 'devices/+'", "sql_version": "2016-03-23",
            "actions": [{"firehose": {"delivery_stream_name": "sensors", "separator": "\n"}}]}
    return make_weir({
        "data": "./data", "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]}, "web": {"bind": "127.0.0.1:0"},
        "buckets": {"shared": {"directory": str(bucket)}},
        "delivery_streams": {"sensors": {"bucket": "shared", "buffer_interval": "1s", "buffer_size": "2KiB", "kafka": settings}},
        "rules": {"all": rule}}, start)


def delivered(bucket):
    return [line for path in sorted(bucket.rglob("*")) if path.is_file() and not path.name.startswith(".")
            for line in path.read_text().split("\n") if line]


def test_objects_hold_each_reading_once_whichever_node_dies(make_weir, kafka, tmp_path):
    topic, bucket = kafka.topic(PARTITIONS), tmp_path / "bucket"
    first, second = (delivering(make_weir, kafka, topic, bucket) for _ in range(2))
    publishers = [Devices(first, "a"), Devices(second, "b")]
    for victim in (first, second) if THOROUGH else (first,):
        before = len(delivered(bucket))
        wait_for(lambda: len(delivered(bucket)) > before + 100, 60, what="objects")
        victim.kill()
        victim.start()
    for publisher in publishers:
        publisher.stop()
    acknowledged = {f"{device} {number}" for publisher in publishers
                    for device, numbers in publisher.acknowledged.items() for number in numbers}
    assert len(acknowledged) > 100
    wait_for(lambda: acknowledged <= set(delivered(bucket)), 60, what="every acknowledged reading in an object")
    lines = delivered(bucket)
    assert len(lines) == len(set(lines)), "no reading is in two objects"
    assert first.stop() == second.stop() == 0
