"""IAM policies of keys: every operation of the Kinesis API asks for its own action on its own resource."""
import boto3
import botocore
import pytest
from botocore.config import Config

from weir import pipeline

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"
HASH = str(1 << 127)

# Operation, input, the resource that AWS checks.
OPERATIONS = [
    ("create_stream", {"StreamName": "x", "ShardCount": 1}, ARN + "x"),
    ("describe_stream", {"StreamName": "x"}, ARN + "x"),
    ("describe_stream_summary", {"StreamName": "x"}, ARN + "x"),
    ("list_streams", {}, "*"),
    ("list_shards", {"StreamName": "x"}, ARN + "x"),
    ("put_record", {"StreamName": "x", "Data": b"d", "PartitionKey": "k"}, ARN + "x"),
    ("put_records", {"StreamName": "x", "Records": [{"Data": b"d", "PartitionKey": "k"}]}, ARN + "x"),
    ("get_shard_iterator", {"StreamName": "x", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}, ARN + "x"),
    ("split_shard", {"StreamName": "x", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": HASH}, ARN + "x"),
    ("merge_shards", {"StreamName": "x", "ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"}, ARN + "x"),
    ("update_shard_count", {"StreamName": "x", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}, ARN + "x"),
    ("increase_stream_retention_period", {"StreamName": "x", "RetentionPeriodHours": 48}, ARN + "x"),
    ("decrease_stream_retention_period", {"StreamName": "x", "RetentionPeriodHours": 24}, ARN + "x"),
    ("update_stream_mode", {"StreamARN": ARN + "x", "StreamModeDetails": {"StreamMode": "PROVISIONED"}}, ARN + "x"),
    ("enable_enhanced_monitoring", {"StreamName": "x", "ShardLevelMetrics": ["ALL"]}, ARN + "x"),
    ("disable_enhanced_monitoring", {"StreamName": "x", "ShardLevelMetrics": ["ALL"]}, ARN + "x"),
    ("start_stream_encryption", {"StreamName": "x", "EncryptionType": "KMS", "KeyId": "k"}, ARN + "x"),
    ("stop_stream_encryption", {"StreamName": "x", "EncryptionType": "KMS", "KeyId": "k"}, ARN + "x"),
    ("add_tags_to_stream", {"StreamName": "x", "Tags": {"a": "b"}}, ARN + "x"),
    ("remove_tags_from_stream", {"StreamName": "x", "TagKeys": ["a"]}, ARN + "x"),
    ("list_tags_for_stream", {"StreamName": "x"}, ARN + "x"),
    ("register_stream_consumer", {"StreamARN": ARN + "x", "ConsumerName": "c"}, ARN + "x"),
    ("deregister_stream_consumer", {"StreamARN": ARN + "x", "ConsumerName": "c"}, ARN + "x/consumer/c"),
    ("describe_stream_consumer", {"StreamARN": ARN + "x", "ConsumerName": "c"}, ARN + "x/consumer/c"),
    ("describe_stream_consumer", {"ConsumerARN": ARN + "x/consumer/c:7"}, ARN + "x/consumer/c:7"),
    ("list_stream_consumers", {"StreamARN": ARN + "x"}, ARN + "x"),
    ("subscribe_to_shard", {"ConsumerARN": ARN + "x/consumer/c:7", "ShardId": "shardId-000000000000",
                            "StartingPosition": {"Type": "LATEST"}}, ARN + "x/consumer/c:7"),
    ("delete_stream", {"StreamName": "x"}, ARN + "x"),
    ("describe_limits", {}, "*"),
]


def allow(action, resource):
    return {"effect": "Allow", "action": action, "resource": resource}


POLICIES = {
    "admin": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    "nothing": {"statement": []},
    "reader": {"statement": [allow(["kinesis:Get*", "kinesis:List*", "kinesis:Describe*", "kinesis:SubscribeToShard"], ARN + "open*"),
                             allow("kinesis:ListStreams", "*")]},
    "writer": {"statement": [allow("kinesis:Put*", ARN + "*"),
                             {"effect": "Deny", "not_action": "kinesis:PutRecord", "resource": ARN + "secret"}]},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    import weir as module
    credentials = [{"access_key_id": f"AKIA{name.upper()}", "secret_access_key": "secret", "user": name, "policy": name}
                   for name in POLICIES]
    credentials.append({"access_key_id": "AKIAFREE", "secret_access_key": "secret", "session_token": "token"})
    config = pipeline(api={"bind": "127.0.0.1:0", "auth": "sigv4"}, credentials=credentials, policies=POLICIES,
                      functions=None, event_source_mappings=None)
    instance = module.Weir(tmp_path_factory.mktemp("weir"), config).start()
    yield instance
    findings = instance.sanitizer_findings()
    module.cleanup(instance)
    assert not findings, findings


def client(api, key, token=None):
    return boto3.client("kinesis", endpoint_url=f"http://127.0.0.1:{api.port('api')}", region_name="us-east-1",
                        aws_access_key_id=key, aws_secret_access_key="secret", aws_session_token=token,
                        config=Config(retries={"max_attempts": 1}))


def denial(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("operation,arguments,resource", OPERATIONS)
def test_each_operation_needs_its_action_on_its_resource(api, operation, arguments, resource):
    action = "kinesis:" + "".join(word.capitalize() for word in operation.split("_"))
    code, text = denial(getattr(client(api, "AKIANOTHING"), operation), **arguments)
    assert code == "AccessDeniedException"
    assert text == (f"User: arn:aws:iam::000000000000:user/nothing is not authorized to perform: {action} on resource: {resource} "
                    f"because no identity-based policy allows the {action} action")


def test_reading_and_writing_may_be_told_apart(api):
    admin, reader, writer = (client(api, key) for key in ("AKIAADMIN", "AKIAREADER", "AKIAWRITER"))
    for name in ("open-1", "secret"):
        admin.create_stream(StreamName=name, ShardCount=3)
        writer.put_record(StreamName=name, Data=b"data", PartitionKey="k")
    code, text = denial(writer.put_records, StreamName="secret", Records=[{"Data": b"d", "PartitionKey": "k"}])
    assert code == "AccessDeniedException" and text.endswith("with an explicit deny in an identity-based policy")
    assert denial(reader.put_record, StreamName="open-1", Data=b"d", PartitionKey="k")[0] == "AccessDeniedException"
    assert "secret" in reader.list_streams()["StreamNames"]

    # What an iterator or a paging token was made for counts, not who made it.
    for name, may in (("open-1", True), ("secret", False)):
        shards = admin.list_shards(StreamName=name, MaxResults=1)
        iterator = admin.get_shard_iterator(StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
        if may:
            reader.get_records(ShardIterator=iterator["ShardIterator"])
            assert len(reader.list_shards(NextToken=shards["NextToken"])["Shards"]) == 2
        else:
            assert ARN + "secret" in denial(reader.get_records, ShardIterator=iterator["ShardIterator"])[1]
            assert ARN + "secret" in denial(reader.list_shards, NextToken=shards["NextToken"])[1]


def test_members_that_an_operation_does_not_take_open_nothing(api):
    """A name beside the one that counts must not be what the policy is asked about."""
    import json
    admin, reader, writer = (client(api, key) for key in ("AKIAADMIN", "AKIAREADER", "AKIAWRITER"))
    for name in ("open-2", "secret"):
        if name not in admin.list_streams()["StreamNames"]:
            admin.create_stream(StreamName=name, ShardCount=1)
    iterator = admin.get_shard_iterator(StreamName="secret", ShardId="shardId-000000000000",
                                        ShardIteratorType="TRIM_HORIZON")["ShardIterator"]

    def add(members):
        def change(params, **_):
            params["body"] = json.dumps({**json.loads(params["body"]), **members}).encode()
        return change

    for member, value in (("ConsumerARN", ARN + "open-2/consumer/c:7"), ("ResourceARN", ARN + "open-2"), ("StreamName", "open-2"),
                          ("StreamARN", ARN + "open-2")):
        change = add({member: value})
        for sdk, event in ((reader, "before-call.kinesis.GetRecords"), (writer, "before-call.kinesis.PutRecords")):
            sdk.meta.events.register(event, change, unique_id=member)
        assert denial(reader.get_records, ShardIterator=iterator)[0] == "AccessDeniedException", member
        if member.startswith(("Consumer", "Resource")):
            records = [{"Data": b"d", "PartitionKey": "k"}]
            assert denial(writer.put_records, StreamName="secret", Records=records)[0] == "AccessDeniedException", member
        for sdk, event in ((reader, "before-call.kinesis.GetRecords"), (writer, "before-call.kinesis.PutRecords")):
            sdk.meta.events.unregister(event, unique_id=member)


def test_a_key_without_a_policy_and_with_a_session_token(api):
    assert "StreamNames" in client(api, "AKIAFREE", "token").list_streams()
    assert denial(client(api, "AKIAFREE").list_streams)[0] == "UnrecognizedClientException"
    assert denial(client(api, "AKIAFREE", "other").list_streams)[0] == "UnrecognizedClientException"


def test_policies_hold_for_other_services_too(api):
    def iot(key):
        return boto3.client("iot", endpoint_url=f"http://127.0.0.1:{api.port('api')}", region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key="secret", config=Config(retries={"max_attempts": 1}))
    code, text = denial(iot("AKIANOTHING").get_topic_rule, ruleName="some_rule")
    assert code == "AccessDeniedException"
    assert "iot:GetTopicRule on resource: arn:aws:iot:us-east-1:000000000000:rule/some_rule" in text
    assert denial(iot("AKIAREADER").list_topic_rules)[0] == "AccessDeniedException"
    assert "rules" in iot("AKIAADMIN").list_topic_rules()
