"""Several Weirs on one topic and one Redis: they share the shards, and what one leaves undone another does."""
import subprocess
import time
import uuid

import paho.mqtt.client as mqtt
import pytest
import redis

from engines import Kafka
from weir import pipeline, wait_for

PARTITIONS = 4


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

    first.kill()
    publish(second, 100)
    wait_for(lambda: owned(second) == PARTITIONS, 60, what="the shards of the node that died")
    wait_for(lambda: counted(shared_redis) == 400, 30, what="400 counted")

    assert second.stop() == 0
    publish_later = node(make_weir, kafka, topic, shared_redis)
    publish(publish_later, 50)
    wait_for(lambda: counted(shared_redis) == 450, 60, what="450 counted")
    time.sleep(0.5)
    assert counted(shared_redis) == 450, "each record counts once, whichever node worked on it"
