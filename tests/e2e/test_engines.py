"""One stream, three engines: the same Kinesis API on the log, on a Kafka topic, and on another Weir."""
import datetime
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from engines import KEY, SECRET, Kafka, api_config, kinesis_settings
from weir import wait_for

SHARDS = 3


def client(weir):
    return boto3.client("kinesis", endpoint_url=f"http://{weir.addresses['api']}", region_name="us-east-1",
                        aws_access_key_id=KEY, aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 0}))


def shard_id(number):
    return f"shardId-{number:012d}"


def iterator_of(kinesis, shard, kind="TRIM_HORIZON", **position):
    return kinesis.get_shard_iterator(StreamName="sensors", ShardId=shard_id(shard), ShardIteratorType=kind,
                                      **position)["ShardIterator"]


def read_on(kinesis, iterator, count):
    """Records from the iterator on, `count` at least."""
    records = []

    def read():
        nonlocal iterator
        answer = kinesis.get_records(ShardIterator=iterator)
        records.extend(answer["Records"])
        iterator = answer["NextShardIterator"]
        return len(records) >= count

    wait_for(read, what=f"{count} records")
    return records


def put_many(kinesis, count, prefix="r"):
    """{shard id: [data, ...]} in the order in which they were put."""
    found = {}
    for start in range(0, count, 100):
        records = [{"Data": f"{prefix}{i}".encode(), "PartitionKey": f"k{i % 17}"} for i in range(start, min(count, start + 100))]
        answer = kinesis.put_records(StreamName="sensors", Records=records)
        assert answer["FailedRecordCount"] == 0
        for record, result in zip(records, answer["Records"]):
            found.setdefault(result["ShardId"], []).append((result["SequenceNumber"], record["Data"]))
    return found


@pytest.fixture
def kafka():
    cluster = Kafka()
    yield cluster
    cluster.close()


@pytest.fixture(params=["log", "kafka", "kinesis"])
def weir(request, make_weir):
    """A Weir whose stream `sensors` has three shards on the engine."""
    own = {"shard_count": SHARDS}
    if request.param == "kafka":
        kafka = request.getfixturevalue("kafka")
        stream = {"kafka": kafka.settings(kafka.topic(SHARDS))}
    elif request.param == "kinesis":
        other = make_weir(api_config({"sensors": own}))
        stream = {"kinesis": kinesis_settings(other)}
    else:
        stream = own
    weir = make_weir(api_config({"sensors": stream}))
    weir.is_mock = request.param == "kafka" and kafka.mock
    return weir


def test_shards_are_listed_and_cover_all_keys(weir):
    kinesis = client(weir)
    shards = kinesis.list_shards(StreamName="sensors")["Shards"]
    assert [shard["ShardId"] for shard in shards] == [shard_id(i) for i in range(SHARDS)]
    ranges = sorted((int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])) for shard in shards)
    assert ranges[0][0] == 0 and ranges[-1][1] == 2**128 - 1
    assert all(ranges[i][1] + 1 == ranges[i + 1][0] for i in range(SHARDS - 1))
    description = kinesis.describe_stream(StreamName="sensors")["StreamDescription"]
    assert description["StreamStatus"] == "ACTIVE" and len(description["Shards"]) == SHARDS
    assert kinesis.describe_stream_summary(StreamName="sensors")["StreamDescriptionSummary"]["OpenShardCount"] == SHARDS


def test_what_was_put_is_read_with_its_numbers_in_order(weir):
    kinesis = client(weir)
    put = put_many(kinesis, 300)
    assert len(put) == SHARDS
    for shard in range(SHARDS):
        wanted = put[shard_id(shard)]
        records = read_on(kinesis, iterator_of(kinesis, shard), len(wanted))
        assert [(record["SequenceNumber"], record["Data"]) for record in records] == wanted
        assert all(len(record["SequenceNumber"]) == 56 and record["PartitionKey"] for record in records)


def test_a_key_goes_where_md5_says(weir):
    """As in Kinesis, whoever computes it: so producers of both kinds may share a stream."""
    import hashlib
    kinesis = client(weir)
    shards = kinesis.list_shards(StreamName="sensors")["Shards"]
    for i in range(40):
        key = int.from_bytes(hashlib.md5(f"key-{i}".encode()).digest(), "big")
        wanted = [shard["ShardId"] for shard in shards
                  if int(shard["HashKeyRange"]["StartingHashKey"]) <= key <= int(shard["HashKeyRange"]["EndingHashKey"])]
        assert [kinesis.put_record(StreamName="sensors", PartitionKey=f"key-{i}", Data=b"x")["ShardId"]] == wanted
    assert kinesis.put_record(StreamName="sensors", PartitionKey="k", ExplicitHashKey="0", Data=b"x")["ShardId"] == shard_id(0)
    assert kinesis.put_record(StreamName="sensors", PartitionKey="k", ExplicitHashKey=str(2**128 - 1),
                              Data=b"x")["ShardId"] == shard_id(SHARDS - 1)


def put_to(kinesis, shard, data):
    key = 2**128 // SHARDS * shard + 1000
    answer = kinesis.put_record(StreamName="sensors", PartitionKey="k", ExplicitHashKey=str(key), Data=data)
    assert answer["ShardId"] == shard_id(shard)
    return answer["SequenceNumber"]


def test_all_five_kinds_of_iterators(weir):
    kinesis = client(weir)
    numbers = [put_to(kinesis, 1, f"old {i}".encode()) for i in range(5)]
    wait_for(lambda: len(read_on(kinesis, iterator_of(kinesis, 1), 5)) == 5)
    latest = iterator_of(kinesis, 1, "LATEST")
    new = put_to(kinesis, 1, b"new")

    def data(iterator, count):
        return [record["Data"] for record in read_on(kinesis, iterator, count)]

    assert data(latest, 1) == [b"new"]
    everything = [f"old {i}".encode() for i in range(5)] + [b"new"]
    assert data(iterator_of(kinesis, 1), 6) == everything
    assert data(iterator_of(kinesis, 1, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[3]), 3) == everything[3:]
    assert data(iterator_of(kinesis, 1, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[3]), 2) == everything[4:]
    assert data(iterator_of(kinesis, 1, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=new), 1) == [b"new"]
    if weir.is_mock:
        return  # it looks up no times
    time.sleep(1.1)  # boto3 sends whole seconds
    between = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(1.1)
    put_to(kinesis, 1, b"latest")
    assert data(iterator_of(kinesis, 1, "AT_TIMESTAMP", Timestamp=between), 1) == [b"latest"]


def test_an_iterator_goes_on_where_it_stopped(weir):
    kinesis = client(weir)
    wanted = [f"{i}".encode() for i in range(50)]
    for data in wanted:
        put_to(kinesis, 0, data)
    iterator, found = iterator_of(kinesis, 0), []

    def read():
        nonlocal iterator
        answer = kinesis.get_records(ShardIterator=iterator, Limit=7)
        assert len(answer["Records"]) <= 7
        found.extend(record["Data"] for record in answer["Records"])
        iterator = answer["NextShardIterator"]
        return len(found) >= len(wanted)

    wait_for(read)
    assert found == wanted
    # A second one, and the same one again, do not disturb each other.
    again = read_on(kinesis, iterator_of(kinesis, 0), 50)
    assert [record["Data"] for record in again] == wanted


def test_who_stops_when_nothing_is_behind_has_all(weir):
    """More records than one answer of another Kinesis holds."""
    kinesis, wanted = client(weir), 3000
    for start in range(0, wanted, 500):
        kinesis.put_records(StreamName="sensors", Records=[
            {"Data": f"{i}".encode(), "PartitionKey": "k", "ExplicitHashKey": "0"} for i in range(start, start + 500)])
    time.sleep(0.05)
    iterator, found, behind = iterator_of(kinesis, 0), [], 1
    while behind:
        answer = kinesis.get_records(ShardIterator=iterator)
        found += [int(record["Data"]) for record in answer["Records"]]
        iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
    assert found == list(range(wanted))


def test_subscribers_are_pushed_what_comes(weir):
    kinesis = client(weir)
    arn = kinesis.describe_stream_summary(StreamName="sensors")["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="page")["Consumer"]
    put_to(kinesis, 2, b"before")
    events = kinesis.subscribe_to_shard(ConsumerARN=consumer["ConsumerARN"], ShardId=shard_id(2),
                                        StartingPosition={"Type": "TRIM_HORIZON"})["EventStream"]
    found = []
    for event in events:
        found += [record["Data"] for record in event["SubscribeToShardEvent"]["Records"]]
        if found == [b"before"]:
            put_to(kinesis, 2, b"after")
        if len(found) == 2:
            break
    events.close()
    assert found == [b"before", b"after"]


def test_shards_of_others_are_not_split_here(make_weir, kafka):
    weir = make_weir(api_config({"sensors": {"kafka": kafka.settings(kafka.topic(2))}}))
    kinesis = client(weir)
    with pytest.raises(ClientError) as caught:
        kinesis.split_shard(StreamName="sensors", ShardToSplit=shard_id(0), NewStartingHashKey=str(2**126))
    assert caught.value.response["Error"]["Code"] == "InvalidArgumentException"
    assert "Kafka topic" in caught.value.response["Error"]["Message"]
