"""Records of up to 10 MiB: where a stream allows them they go the way of all others; what cannot take them says so."""
import base64
import os
import random
import sys

import boto3
import pytest
from botocore.config import Config

from engines import KEY, SECRET, api_config, kinesis_settings
from weir import wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))
from kinesis import Client, Refused  # noqa: E402

MIB = 1 << 20
LARGEST = 10 * MIB - 1  # and a key of one character


def client(weir):
    return boto3.client("kinesis", endpoint_url=f"http://{weir.addresses['api']}", region_name="us-east-1", aws_access_key_id=KEY,
                        aws_secret_access_key=SECRET, config=Config(retries={"max_attempts": 0}))


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def read_all(kinesis, count, stream="large", shard="shardId-000000000000"):
    iterator, records = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"], []

    def read():
        nonlocal iterator
        answer = kinesis.get_records(ShardIterator=iterator)
        assert sum(len(record["Data"]) for record in answer["Records"]) <= 10 * MIB
        records.extend(answer["Records"])
        iterator = answer["NextShardIterator"]
        return len(records) >= count

    wait_for(read, what=f"{count} records")
    return records


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_they_are_put_and_read_as_others_are(make_weir, compression):
    weir = make_weir(api_config({"large": {"max_record_size": "10MiB", "compression": compression}}))
    kinesis = client(weir)
    wanted = [noise(LARGEST), b"small", b"x" * LARGEST, noise(2 * MIB, 2), noise(5 * MIB, 3)]
    kinesis.put_record(StreamName="large", PartitionKey="k", Data=wanted[0])
    kinesis.put_records(StreamName="large", Records=[{"PartitionKey": "k", "Data": wanted[1]}])
    kinesis.put_record(StreamName="large", PartitionKey="k", Data=wanted[2])
    answer = kinesis.put_records(StreamName="large", Records=[{"PartitionKey": "k", "Data": data} for data in wanted[3:]])
    assert answer["FailedRecordCount"] == 0
    assert [record["Data"] for record in read_all(kinesis, 5)] == wanted
    weir.kill()
    weir.start()
    kinesis = client(weir)
    assert [record["Data"] for record in read_all(kinesis, 5)] == wanted

    arn = kinesis.describe_stream_summary(StreamName="large")["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    events = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId="shardId-000000000000",
                                        StartingPosition={"Type": "TRIM_HORIZON"})["EventStream"]
    pushed = []
    for event in events:
        pushed += [record["Data"] for record in event["SubscribeToShardEvent"]["Records"]]
        if len(pushed) == 5:
            break
    events.close()
    assert pushed == wanted


def test_the_configuration_decides_where_it_says_something(make_weir):
    sizes = {"one": {}, "ten": {"max_record_size": "10MiB"}}
    weir = make_weir(api_config(sizes, api={"bind": "127.0.0.1:0", "auth": "open"}))
    call = Client(lambda: weir.port("api"))
    summary = lambda name: call("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]  # noqa: E731
    assert (summary("one")["MaxRecordSizeInKiB"], summary("ten")["MaxRecordSizeInKiB"]) == (1024, 10240)
    with pytest.raises(Refused) as refused:
        call("UpdateMaxRecordSize", StreamARN=summary("ten")["StreamARN"], MaxRecordSizeInKiB=2048)
    assert refused.value.type == "ResourceInUseException"
    call("UpdateMaxRecordSize", StreamARN=summary("one")["StreamARN"], MaxRecordSizeInKiB=2048)
    call.close()
    weir.kill()
    weir.start()
    assert summary("one")["MaxRecordSizeInKiB"] == 2048
    data = base64.b64encode(b"x" * (2 * MIB - 1)).decode()
    assert call("PutRecord", StreamName="one", PartitionKey="k", Data=data)["SequenceNumber"]
    call.close()


def test_another_kinesis_takes_what_it_allows(make_weir):
    """One record that the other side refuses does not take those beside it along."""
    there = make_weir(api_config({"large": {"max_record_size": "10MiB"}, "usual": {}}))
    streams = {name: {"max_record_size": "10MiB", "kinesis": kinesis_settings(there, name)} for name in ("large", "usual")}
    here = make_weir(api_config(streams))
    kinesis = client(here)
    largest = noise(LARGEST)
    kinesis.put_record(StreamName="large", PartitionKey="k", Data=largest)
    assert [record["Data"] for record in read_all(kinesis, 1)] == [largest]
    data = [b"before", noise(2 * MIB), b"between", noise(3 * MIB), b"after"]
    answer = kinesis.put_records(StreamName="usual", Records=[{"PartitionKey": "k", "Data": item} for item in data])
    assert [("ErrorCode" in record) for record in answer["Records"]] == [False, True, False, True, False]
    kinesis.put_record(StreamName="usual", PartitionKey="k", Data=b"later")
    assert [record["Data"] for record in read_all(client(there), 4, "usual")] == [b"before", b"between", b"after", b"later"]
