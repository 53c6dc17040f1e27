"""What must hold when the machine that keeps a stream is away, comes back, or Weir itself is killed: nothing that was acknowledged is
lost, nothing is acknowledged that is not kept, and the readings of a device keep their order."""
import os
import time

import boto3
import pytest
from botocore.config import Config

from engines import DEVICES, KEY, SECRET, Devices, Kafka, api_config, kinesis_settings
from weir import wait_for

SHARDS = 3
RULE = {"sql": "SELECT * FROM 'devices/+'", "sql_version": "2016-03-23",
        "actions": [{"kinesis": {"stream_name": "sensors", "partition_key": "${topic(2)}"}}]}


def config(stream, **changes):
    return api_config({"sensors": stream}, rules={"all": RULE}, **changes)


def kinesis_of(weir):
    return boto3.client("kinesis", endpoint_url=f"http://{weir.addresses['api']}", region_name="us-east-1",
                        aws_access_key_id=KEY, aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 3}))


def everything(weir):
    """{device: [number, ...]} in the order of the stream."""
    kinesis, found = kinesis_of(weir), {f"d{i}": [] for i in range(DEVICES)}
    for shard in range(SHARDS):
        iterator = kinesis.get_shard_iterator(StreamName="sensors", ShardId=f"shardId-{shard:012d}",
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                device, number = record["Data"].decode().split()
                found[device].append(int(number))
            if not answer["Records"] and not answer["MillisBehindLatest"]:
                break
            iterator = answer["NextShardIterator"]
    return found


def check(devices, weir):
    def all_acknowledged_are_there():
        found = everything(weir)
        return all(set(devices.acknowledged[device]) <= set(found[device]) for device in found) and found

    found = wait_for(all_acknowledged_are_there, what="every acknowledged reading in the stream")
    for device, numbers in found.items():
        assert set(numbers) <= set(devices.sent[device])
        assert list(dict.fromkeys(numbers)) == sorted(set(numbers)), "first arrivals are in order"
    return found


@pytest.fixture
def kafka():
    cluster = Kafka()
    yield cluster
    cluster.close()


def waits(weir):
    return weir.metric("weir_engine_waiting_records") > 0


@pytest.mark.skipif(os.environ.get("WEIR_KAFKA_BROKERS") and not os.environ.get("WEIR_KAFKA_CONTROL"), reason="cannot stop the brokers")
def test_brokers_go_down_and_come_back(make_weir, kafka):
    weir = make_weir(config({"kafka": kafka.settings(kafka.topic(SHARDS))}))
    devices = Devices(weir)
    wait_for(lambda: devices.count() > 50)
    kafka.down()
    wait_for(lambda: waits(weir), what="records that wait")
    stuck = wait_for(lambda: (before := devices.count(), time.sleep(1)) and before == devices.count() and before)
    assert stuck > 0
    kafka.up()
    wait_for(lambda: devices.count() > stuck + 50, 60, what="acknowledgements")
    devices.stop()
    found = check(devices, weir)
    assert all(len(numbers) == len(set(numbers)) for numbers in found.values()), "the idempotent producer sends nothing twice"


def test_the_leader_of_a_partition_changes(make_weir):
    kafka = Kafka(mock_brokers=3)
    if not kafka.mock:
        pytest.skip("only the mock is told which broker leads")
    topic = kafka.topic(SHARDS, 3)
    weir = make_weir(config({"kafka": kafka.settings(topic)}))
    devices = Devices(weir)
    for broker in (2, 3, 1):
        before = devices.count()
        for partition in range(SHARDS):
            kafka.mock.tell(f"leader {topic} {partition} {broker}")
        wait_for(lambda: devices.count() > before + 30, 60, what="acknowledgements from the new leader")
    devices.stop()
    check(devices, weir)
    kafka.close()


def test_weir_is_killed_over_a_topic(make_weir, kafka):
    weir = make_weir(config({"kafka": kafka.settings(kafka.topic(SHARDS))}))
    devices = Devices(weir)
    for _ in range(3):
        before = devices.count()
        wait_for(lambda: devices.count() > before + 50, 60)
        weir.kill()
        weir.start()
    devices.stop()
    check(devices, weir)


def test_weir_ends_although_the_brokers_are_away(make_weir, kafka):
    if not kafka.mock:
        pytest.skip("others use the brokers")
    weir = make_weir(config({"kafka": kafka.settings(kafka.topic(SHARDS))}))
    devices = Devices(weir)
    wait_for(lambda: devices.count() > 20)
    kafka.down()
    wait_for(lambda: waits(weir))
    assert weir.stop() == 0
    devices.stop()
    kafka.up()
    weir.start()
    check(devices, weir)


def test_brokers_that_do_not_answer_are_named(make_weir, kafka):
    weir = make_weir(config({"kafka": {"brokers": ["127.0.0.1:1"]}}), start=False)
    with pytest.raises(AssertionError, match="127.0.0.1:1 do not answer"):
        weir.start()


def test_another_weir_goes_away_and_comes_back(make_weir):
    other = make_weir(api_config({"sensors": {"shard_count": SHARDS}}))
    weir = make_weir(config({"kinesis": kinesis_settings(other)}))
    port = other.port("api")
    devices = Devices(weir)
    wait_for(lambda: devices.count() > 50)
    other.kill()
    stuck = wait_for(lambda: (before := devices.count(), time.sleep(0.5)) and before == devices.count() and before)
    other.write_config(api_config({"sensors": {"shard_count": SHARDS}}, api={"bind": f"127.0.0.1:{port}", "auth": "sigv4"}))
    other.start()
    wait_for(lambda: devices.count() > stuck + 50, 60, what="acknowledgements")
    devices.stop()
    check(devices, weir)


def test_shards_that_are_split_there_are_split_here(make_weir):
    other = make_weir(api_config({}))
    theirs = kinesis_of(other)
    theirs.create_stream(StreamName="sensors", ShardCount=1)
    wait_for(lambda: theirs.describe_stream_summary(StreamName="sensors")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
    weir = make_weir(config({"kinesis": kinesis_settings(other)}))
    ours = kinesis_of(weir)
    for i in range(20):
        ours.put_record(StreamName="sensors", PartitionKey=f"k{i}", Data=f"before {i}".encode())
    theirs.split_shard(StreamName="sensors", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    for i in range(20):
        ours.put_record(StreamName="sensors", PartitionKey=f"k{i}", Data=f"after {i}".encode())

    iterator, found = ours.get_shard_iterator(StreamName="sensors", ShardId="shardId-000000000000",
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"], []
    while iterator:
        answer = ours.get_records(ShardIterator=iterator)
        found += [record["Data"] for record in answer["Records"]]
        iterator = answer.get("NextShardIterator")
    assert found == [f"before {i}".encode() for i in range(20)]

    def shards():
        listed = ours.list_shards(StreamName="sensors")["Shards"]
        return len(listed) == 3 and listed

    listed = wait_for(shards, what="the children")
    assert [shard.get("ParentShardId") for shard in listed] == [None, "shardId-000000000000", "shardId-000000000000"]
    after = []
    for shard in listed[1:]:
        iterator = ours.get_shard_iterator(StreamName="sensors", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        after += [record["Data"] for record in ours.get_records(ShardIterator=iterator)["Records"]]
    assert sorted(after) == sorted(f"after {i}".encode() for i in range(20))
