"""The Kinesis API through the real boto3: what the article's reader types, what goes wrong, what must outlive a kill."""
import concurrent.futures
import datetime
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from weir import wait_for

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def api_config(auth="open", **changes):
    config = {
        "data": "./data",
        "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]},
        "web": {"bind": "127.0.0.1:0"},
        "api": {"bind": "127.0.0.1:0", "auth": auth},
        "credentials": [{"access_key_id": KEY, "secret_access_key": SECRET}],
    }
    config.update(changes)
    return config


def client(weir, key=KEY, secret=SECRET, **settings):
    settings.setdefault("retries", {"max_attempts": 0})
    return boto3.client("kinesis", endpoint_url=f"http://{weir.addresses['api']}", region_name="eu-central-1",
                        aws_access_key_id=key, aws_secret_access_key=secret, config=Config(**settings))


def shard_id(number):
    return f"shardId-{number:012d}"


def read_shard(kinesis, stream, shard, kind="TRIM_HORIZON", **position):
    """Every record up to the tip, or to the end of a closed shard; and whether it was closed."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind, **position)["ShardIterator"]
    records = []
    while True:
        answer = kinesis.get_records(ShardIterator=iterator)
        records += answer["Records"]
        iterator = answer.get("NextShardIterator")
        if iterator is None:
            return records, True
        if not answer["Records"] and answer["MillisBehindLatest"] == 0:
            return records, False


def read_stream(kinesis, stream):
    """Data of all records, shard by shard, parents before children."""
    found = []
    for page in kinesis.get_paginator("list_shards").paginate(StreamName=stream):
        for shard in page["Shards"]:
            records, closed = read_shard(kinesis, stream, shard["ShardId"])
            assert closed == ("EndingSequenceNumber" in shard["SequenceNumberRange"])
            found += [record["Data"] for record in records]
    return found


def error_of(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def weir(make_weir):
    return make_weir(api_config())


def test_the_article_s_path(weir):
    kinesis = client(weir)
    kinesis.create_stream(StreamName="sensors", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="sensors", WaiterConfig={"Delay": 1})
    before = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(1.1)  # boto3 sends whole seconds
    answer = kinesis.put_records(StreamName="sensors", Records=[
        {"Data": f"reading {i}".encode(), "PartitionKey": f"sensor-{i}"} for i in range(10)])
    assert answer["FailedRecordCount"] == 0
    numbers = [record["SequenceNumber"] for record in answer["Records"]]
    assert numbers == sorted(numbers, key=int) and len(set(numbers)) == 10

    everything = [f"reading {i}".encode() for i in range(10)]
    first = shard_id(0)
    latest = kinesis.get_shard_iterator(StreamName="sensors", ShardId=first, ShardIteratorType="LATEST")["ShardIterator"]
    for kind, position, expected in [
            ("TRIM_HORIZON", {}, everything),
            ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": numbers[3]}, everything[3:]),
            ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": numbers[3]}, everything[4:]),
            ("AT_TIMESTAMP", {"Timestamp": before}, everything)]:
        records, closed = read_shard(kinesis, "sensors", first, kind, **position)
        assert [record["Data"] for record in records] == expected
        assert not closed
    assert [record["SequenceNumber"] for record in read_shard(kinesis, "sensors", first)[0]] == numbers
    kinesis.put_record(StreamName="sensors", Data=b"late", PartitionKey="x")
    assert [record["Data"] for record in kinesis.get_records(ShardIterator=latest)["Records"]] == [b"late"]

    kinesis.split_shard(StreamName="sensors", ShardToSplit=first, NewStartingHashKey=str(1 << 127))
    kinesis.put_records(StreamName="sensors", Records=[
        {"Data": b"low", "PartitionKey": "p", "ExplicitHashKey": "0"},
        {"Data": b"high", "PartitionKey": "p", "ExplicitHashKey": str((1 << 128) - 1)}])
    kinesis.merge_shards(StreamName="sensors", ShardToMerge=shard_id(1), AdjacentShardToMerge=shard_id(2))
    kinesis.put_record(StreamName="sensors", Data=b"merged", PartitionKey="p")
    assert read_stream(kinesis, "sensors") == everything + [b"late", b"low", b"high", b"merged"]

    kinesis.update_shard_count(StreamName="sensors", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    summary = wait_for(lambda: (found := kinesis.describe_stream_summary(StreamName="sensors")["StreamDescriptionSummary"])
                       ["StreamStatus"] == "ACTIVE" and found, what="ACTIVE")
    assert summary["OpenShardCount"] == 2
    kinesis.delete_stream(StreamName="sensors")
    kinesis.get_waiter("stream_not_exists").wait(StreamName="sensors", WaiterConfig={"Delay": 1})
    assert kinesis.list_streams()["StreamNames"] == []


def test_errors_have_the_names_and_texts_of_aws(weir):
    kinesis = client(weir, parameter_validation=False)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    assert error_of(kinesis.describe_stream, StreamName="none") == (
        "ResourceNotFoundException", "Stream none under account 000000000000 not found.")
    assert error_of(kinesis.create_stream, StreamName="s", ShardCount=1) == (
        "ResourceInUseException", "Stream s under account 000000000000 already exists.")
    assert error_of(kinesis.create_stream, StreamName="", ShardCount=0) == (
        "ValidationException",
        "3 validation errors detected: Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'streamName' failed to satisfy constraint: Member must have length "
        "greater than or equal to 1; Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater "
        "than or equal to 1")
    assert error_of(kinesis.put_records, StreamName="s", Records=[{"Data": b"", "PartitionKey": "a"}, {"Data": b"", "PartitionKey": ""}]) == (
        "ValidationException",
        "1 validation error detected: Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member must "
        "have length greater than or equal to 1")
    assert error_of(kinesis.get_records, ShardIterator="nonsense") == ("InvalidArgumentException", "Invalid ShardIterator.")
    assert isinstance(kinesis.exceptions.ResourceNotFoundException({}, "x"), ClientError)


def test_paginators_walk_over_all(weir):
    kinesis = client(weir)
    names = sorted(f"stream-{i:03d}" for i in range(12))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: client(weir).create_stream(StreamName=name, ShardCount=1), names))
    pages = kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 5})
    assert [name for page in pages for name in page["StreamNames"]] == names
    kinesis.create_stream(StreamName="wide", ShardCount=30)
    pages = kinesis.get_paginator("describe_stream").paginate(StreamName="wide", PaginationConfig={"PageSize": 7})
    shards = [shard["ShardId"] for page in pages for shard in page["StreamDescription"]["Shards"]]
    assert shards == [shard_id(i) for i in range(30)]


def test_what_was_acknowledged_survives_a_kill(make_weir):
    weir = make_weir(api_config(streams={"fixed": {"shard_count": 2}}))
    kinesis = client(weir)
    kinesis.create_stream(StreamName="made", ShardCount=3)
    kinesis.add_tags_to_stream(StreamName="made", Tags={"team": "a"})
    for stream in ("made", "fixed"):
        kinesis.put_records(StreamName=stream, Records=[{"Data": b"%d" % i, "PartitionKey": str(i)} for i in range(500)])
    kinesis.split_shard(StreamName="fixed", ShardToSplit=shard_id(0), NewStartingHashKey="1000")
    kinesis.put_record(StreamName="fixed", Data=b"500", PartitionKey="x")
    arn = kinesis.describe_stream_summary(StreamName="made")["StreamDescriptionSummary"]["StreamARN"]
    kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="reader")
    iterator = kinesis.get_shard_iterator(StreamName="made", ShardId=shard_id(0), ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    weir.kill()
    weir.start()
    kinesis = client(weir)
    assert kinesis.list_streams()["StreamNames"] == ["fixed", "made"]
    assert sorted(map(int, read_stream(kinesis, "made"))) == list(range(500))
    assert sorted(map(int, read_stream(kinesis, "fixed"))) == list(range(501))
    assert kinesis.get_records(ShardIterator=iterator)["Records"]
    assert kinesis.list_tags_for_stream(StreamName="made")["Tags"] == [{"Key": "team", "Value": "a"}]
    assert [c["ConsumerName"] for c in kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]] == ["reader"]
    assert error_of(kinesis.delete_stream, StreamName="fixed")[0] == "ResourceInUseException"


def test_a_subscription_hands_records_on_and_ends_with_the_shard(weir):
    kinesis = client(weir)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    kinesis.put_records(StreamName="s", Records=[{"Data": b"%d" % i, "PartitionKey": "p"} for i in range(500)])
    stream = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard_id(0),
                                        StartingPosition={"Type": "TRIM_HORIZON"})["EventStream"]
    writer, data, children, continuation = client(weir), [], None, None
    for event in stream:
        event = event["SubscribeToShardEvent"]
        data += [int(record["Data"]) for record in event["Records"]]
        if len(data) == 500 and event["Records"]:
            continuation = event["ContinuationSequenceNumber"]
            writer.put_record(StreamName="s", Data=b"500", PartitionKey="p")
        if len(data) == 501 and event["Records"]:
            writer.split_shard(StreamName="s", ShardToSplit=shard_id(0), NewStartingHashKey="1000")
        children = event.get("ChildShards")
    assert data == list(range(501))
    assert [child["ShardId"] for child in children] == [shard_id(1), shard_id(2)]
    again = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard_id(0), StartingPosition={
        "Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": continuation})["EventStream"]
    assert [record["Data"] for event in again for record in event["SubscribeToShardEvent"]["Records"]] == [b"500"]


def test_only_who_has_the_secret_gets_in(make_weir):
    weir = make_weir(api_config(auth="sigv4"))
    kinesis = client(weir)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    body = bytes(range(256)) * 1000
    kinesis.put_record(StreamName="s", Data=body, PartitionKey="p")
    assert read_shard(kinesis, "s", shard_id(0))[0][0]["Data"] == body
    wrong = client(weir, secret="x" * 40)
    assert error_of(wrong.list_streams)[0] == "InvalidSignatureException"
    assert error_of(wrong.delete_stream, StreamName="s")[0] == "InvalidSignatureException"
    assert error_of(client(weir, key="AKIDUNKNOWN").list_streams) == (
        "UnrecognizedClientException", "The security token included in the request is invalid.")
    from botocore import UNSIGNED
    assert error_of(client(weir, signature_version=UNSIGNED).list_streams) == (
        "MissingAuthenticationTokenException", "Missing Authentication Token")
    assert kinesis.list_streams()["StreamNames"] == ["s"]
    assert SECRET not in weir.log()


def test_many_producers_lose_nothing(weir):
    client(weir).create_stream(StreamName="s", ShardCount=4)

    def produce(worker):
        kinesis = client(weir)
        for batch in range(10):
            records = [{"Data": b"%d" % (worker * 1000 + batch * 100 + i), "PartitionKey": f"{worker}-{i}"} for i in range(100)]
            assert kinesis.put_records(StreamName="s", Records=records)["FailedRecordCount"] == 0

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(produce, range(8)))
    assert sorted(map(int, read_stream(client(weir), "s"))) == list(range(8000))


def test_an_on_demand_stream_grows_under_its_producers(make_weir):
    """What is throttled is sent again, as producers do; the shards split under it until all of it fits."""
    limits = {"shard_write_records": 50, "shard_read_calls": 0, "calls": False, "on_demand_after": "100ms"}
    weir = make_weir(api_config() | {"api": {"bind": "127.0.0.1:0", "auth": "open", "limits": limits}})
    kinesis = client(weir)
    kinesis.create_stream(StreamName="s", StreamModeDetails={"StreamMode": "ON_DEMAND"})

    def open_shards():
        return kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]["OpenShardCount"]

    assert open_shards() == 4
    waiting, sent = [], 0
    while open_shards() < 8 or waiting:
        if open_shards() < 8:
            waiting += [{"Data": b"%d" % number, "PartitionKey": str(number)} for number in range(sent, sent + 100)]
            sent += 100
        batch, waiting = waiting[:500], waiting[500:]
        answer = kinesis.put_records(StreamName="s", Records=batch)["Records"]
        assert {record.get("ErrorCode") for record in answer} <= {None, "ProvisionedThroughputExceededException"}
        waiting = [record for record, result in zip(batch, answer) if "ErrorCode" in result] + waiting
    assert sorted(map(int, read_stream(kinesis, "s"))) == list(range(sent))


def test_a_listener_open_to_the_world_is_refused(make_weir):
    for api in ({"bind": "0.0.0.0:0", "auth": "open"}, {"bind": "0.0.0.0:0", "auth": "sigv4"}):
        with pytest.raises(AssertionError, match="beyond loopback"):
            make_weir(api_config() | {"api": api})
