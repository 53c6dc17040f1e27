"""Rules through AWS's own clients: the command line and boto3 make, change and delete them, and the next message shows it."""
import json
import os
import shutil
import subprocess
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from test_kinesis_api import KEY, SECRET, api_config
from test_pipeline import publish
from weir import PROGRAM, pipeline, wait_for

AWS = "/usr/bin/aws"  # Debian's awscli, which script/bootstrap installs
ROLE = "arn:aws:iam::000000000000:role/iot"
READING = '{"temperature": 21.5, "device": "a1"}'

# As it stands in the article's Terraform file, where ${ has to be written $${.
ARTICLE = r"""{
  "sql": "SELECT * FROM 'topic/sensors'",
  "awsIotSqlVersion": "2016-03-23",
  "description": "sensors to stream and bucket",
  "ruleDisabled": false,
  "actions": [
    {"kinesis": {"streamName": "sensors", "partitionKey": "$${newuuid()}", "roleArn": "%s"}},
    {"firehose": {"deliveryStreamName": "sensors", "separator": "\n", "roleArn": "%s"}}
  ]
}""".replace("%s", ROLE)


def as_terraform_sends(text):
    return text.replace("$${", "${")


def rule_config(**changes):
    """The article's pipeline without rules, with the api listener."""
    config = pipeline(rules={"fixed": {"sql": "SELECT * FROM 'fixed'", "actions": [
        {"kinesis": {"stream_name": "sensors", "partition_key": "k"}}]}}, functions=None, event_source_mappings=None)
    config.update(api_config(auth="sigv4"))
    config.update(changes)
    return config


def to_stream(sql, partition_key="k", **more):
    return {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [
        {"kinesis": {"streamName": "sensors", "partitionKey": partition_key, "roleArn": ROLE}}], **more}


def client(weir, service="iot"):
    return boto3.client(service, endpoint_url=f"http://{weir.addresses['api']}", region_name="us-east-1",
                        aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                        config=Config(retries={"max_attempts": 0}))


def command_line(weir, home):
    environment = {"PATH": os.path.dirname(shutil.which("env")), "HOME": str(home), "AWS_ACCESS_KEY_ID": KEY,
                   "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
                   "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    def run(operation, *arguments):
        command = [AWS, "--endpoint-url", f"http://{weir.addresses['api']}", "iot", operation, *arguments]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
        return json.loads(result.stdout) if result.stdout.strip() else None

    return run


def data(weir):
    return [record["data"] for record in weir.stream_records()]


def refused(call, *arguments, **named):
    """(code, status, message) of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_the_article_s_rule_on_the_command_line(make_weir, tmp_path):
    weir = make_weir(rule_config())
    aws = command_line(weir, tmp_path)
    payload = tmp_path / "rule.json"
    payload.write_text(as_terraform_sends(ARTICLE))
    aws("create-topic-rule", "--rule-name", "sensorsKinesis", "--topic-rule-payload", f"file://{payload}", "--tags", "team=a&x=%20y")
    publish(weir, READING, "topic/sensors")
    assert data(weir) == [READING]  # on disk when the PUBACK is there
    assert len(weir.stream_records()[0]["partition_key"]) == 36, "a UUID for each record"
    wait_for(lambda: weir.bucket_bytes() == READING.encode() + b"\n", what="the object")

    rule = aws("get-topic-rule", "--rule-name", "sensorsKinesis")
    assert rule["ruleArn"] == "arn:aws:iot:us-east-1:000000000000:rule/sensorsKinesis"
    assert rule["rule"]["actions"][0]["kinesis"] == {"streamName": "sensors", "partitionKey": "${newuuid()}", "roleArn": ROLE}
    assert rule["rule"]["actions"] == json.loads(as_terraform_sends(ARTICLE))["actions"]
    assert rule["rule"]["description"] == "sensors to stream and bucket" and not rule["rule"]["ruleDisabled"]
    assert aws("list-tags-for-resource", "--resource-arn", rule["ruleArn"])["tags"] == [
        {"Key": "team", "Value": "a"}, {"Key": "x", "Value": " y"}]

    # Each change counts from the next message on.
    payload.write_text(json.dumps(to_stream("SELECT temperature AS t FROM 'topic/sensors'")))
    aws("replace-topic-rule", "--rule-name", "sensorsKinesis", "--topic-rule-payload", f"file://{payload}")
    publish(weir, READING, "topic/sensors")
    aws("disable-topic-rule", "--rule-name", "sensorsKinesis")
    publish(weir, '{"temperature": 1}', "topic/sensors")
    assert aws("get-topic-rule", "--rule-name", "sensorsKinesis")["rule"]["ruleDisabled"]
    aws("enable-topic-rule", "--rule-name", "sensorsKinesis")
    publish(weir, '{"temperature": 2}', "topic/sensors")
    aws("delete-topic-rule", "--rule-name", "sensorsKinesis")
    publish(weir, '{"temperature": 3}', "topic/sensors")
    assert data(weir) == [READING, '{"t":21.5}', '{"t":2}']
    assert [rule["ruleName"] for rule in aws("list-topic-rules")["rules"]] == ["fixed"]
    host, port = aws("describe-endpoint", "--endpoint-type", "iot:Data-ATS")["endpointAddress"].split(":")
    assert (host, int(port)) == ("127.0.0.1", weir.port("mqtt"))


def test_rules_outlive_a_kill(make_weir):
    weir = make_weir(rule_config())
    iot = client(weir)
    iot.create_topic_rule(ruleName="kept", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    iot.create_topic_rule(ruleName="off", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    iot.disable_topic_rule(ruleName="off")
    iot.create_topic_rule(ruleName="gone", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    iot.delete_topic_rule(ruleName="gone")
    before = iot.get_topic_rule(ruleName="kept")["rule"]
    weir.kill()
    weir.start()
    publish(weir, READING, "a")
    assert data(weir) == [READING]
    iot = client(weir)
    assert iot.get_topic_rule(ruleName="kept")["rule"] == before
    assert [(rule["ruleName"], rule["ruleDisabled"]) for rule in iot.list_topic_rules()["rules"]] == [
        ("fixed", False), ("kept", False), ("off", True)]


def test_errors_are_those_of_aws(make_weir):
    iot = client(make_weir(rule_config()))
    rule = to_stream("SELECT * FROM 'a'")
    iot.create_topic_rule(ruleName="r", topicRulePayload=rule)
    assert refused(iot.create_topic_rule, ruleName="r", topicRulePayload=rule)[:2] == ("ResourceAlreadyExistsException", 409)
    code, status, text = refused(iot.create_topic_rule, ruleName="s", topicRulePayload=to_stream("SELECT nosuch() AS x FROM 'a'"))
    assert (code, status) == ("SqlParseException", 400) and "1:8" in text and "nosuch" in text
    assert refused(iot.replace_topic_rule, ruleName="r", topicRulePayload=to_stream("SELECT"))[:2] == ("SqlParseException", 400)
    code, status, text = refused(iot.create_topic_rule, ruleName="a-b", topicRulePayload=rule)
    assert (code, status) == ("InvalidRequestException", 400)
    assert text == ("1 validation error detected: Value 'a-b' at 'ruleName' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: ^[a-zA-Z0-9_]+$")
    assert refused(iot.create_topic_rule, ruleName="s", topicRulePayload={**rule, "actions": [{}]})[0] == "InvalidRequestException"
    for unknown in (iot.get_topic_rule, iot.enable_topic_rule, iot.disable_topic_rule):
        assert refused(unknown, ruleName="none") == ("UnauthorizedException", 401, "Access to topic rule 'none' was denied")
    assert refused(iot.replace_topic_rule, ruleName="none", topicRulePayload=rule)[1] == 401
    iot.delete_topic_rule(ruleName="none")
    assert refused(iot.list_tags_for_resource, resourceArn="arn:aws:iot:us-east-1:000000000000:rule/none")[:2] == (
        "ResourceNotFoundException", 404)
    assert refused(iot.describe_endpoint, endpointType="iot:Nothing")[:2] == ("InvalidRequestException", 400)


def test_rules_of_the_file_are_shown_and_cannot_be_changed(make_weir):
    weir = make_weir(rule_config())
    iot = client(weir)
    shown = iot.get_topic_rule(ruleName="fixed")["rule"]
    assert shown["sql"] == "SELECT * FROM 'fixed'"
    assert shown["actions"] == [{"kinesis": {"streamName": "sensors", "partitionKey": "k"}}]
    rule = to_stream("SELECT * FROM 'a'")
    for change, named in ((iot.replace_topic_rule, {"topicRulePayload": rule}), (iot.delete_topic_rule, {}),
                          (iot.disable_topic_rule, {})):
        code, status, text = refused(change, ruleName="fixed", **named)
        assert (code, status) == ("InvalidRequestException", 400)
        assert "weir.yaml:" in text and "fixed" in text
    assert refused(iot.create_topic_rule, ruleName="fixed", topicRulePayload=rule)[0] == "ResourceAlreadyExistsException"
    publish(weir, READING, "fixed")
    assert data(weir) == [READING]


def test_lists_have_pages_and_filters(make_weir):
    iot = client(make_weir(rule_config()))
    names = [f"r{number:02d}" for number in range(12)]
    for name in names:
        iot.create_topic_rule(ruleName=name, topicRulePayload=to_stream(f"SELECT * FROM 'd/{name}/+'"))
    iot.disable_topic_rule(ruleName="r03")
    pages = list(iot.get_paginator("list_topic_rules").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["rules"]) for page in pages] == [5, 5, 3]
    assert [rule["ruleName"] for page in pages for rule in page["rules"]] == ["fixed", *names]
    assert [rule["ruleName"] for rule in iot.list_topic_rules(topic="d/r07/x")["rules"]] == ["r07"]
    assert [rule["ruleName"] for rule in iot.list_topic_rules(topic="d/r07/+")["rules"]] == ["r07"]
    assert [rule["ruleName"] for rule in iot.list_topic_rules(ruleDisabled=True)["rules"]] == ["r03"]
    rule = iot.list_topic_rules(maxResults=2)["rules"][1]
    assert rule["topicPattern"] == "d/r00/+" and rule["ruleArn"].endswith(":rule/r00") and rule["createdAt"].year > 2000


def test_tags(make_weir):
    weir = make_weir(rule_config())
    iot = client(weir)
    arn = "arn:aws:iot:us-east-1:000000000000:rule/r"
    iot.create_topic_rule(ruleName="r", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "\u00e4 \"2\""}])
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "3"}])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "\u00e4 \"2\""}]
    iot.untag_resource(resourceArn=arn, tagKeys=["a", "none"])
    weir.kill()
    weir.start()
    assert client(weir).list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "b", "Value": "\u00e4 \"2\""}]
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refused(client(weir).tag_resource, resourceArn=arn, tags=many)[0] == "LimitExceededException"


def test_a_reload_keeps_the_rules_of_clients(make_weir):
    weir = make_weir(rule_config())
    client(weir).create_topic_rule(ruleName="mine", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    config = rule_config()
    config["rules"]["second"] = {"sql": "SELECT * FROM 'b'", "actions": config["rules"]["fixed"]["actions"]}
    weir.write_config(config)
    weir.signal(1)
    names = lambda: [rule["ruleName"] for rule in client(weir).list_topic_rules()["rules"]]  # noqa: E731
    wait_for(lambda: names() == ["fixed", "mine", "second"], what="the reload")
    publish(weir, "1", "a")
    publish(weir, "2", "b")
    assert data(weir) == ["1", "2"]


def test_a_role_limits_what_actions_touch(make_weir):
    roles = {"iot": {"statement": [
        {"effect": "Allow", "action": "kinesis:PutRecord", "resource": "arn:aws:kinesis:*:*:stream/sen*"},
        {"effect": "Allow", "action": "iot:Publish", "resource": "arn:aws:iot:*:*:topic/errors"}]}}
    weir = make_weir(rule_config(roles=roles, streams={"sensors": {}, "other": {}}))
    iot = client(weir)
    forbidden = to_stream("SELECT * FROM 'a'")
    forbidden["actions"][0]["kinesis"]["streamName"] = "other"
    code, _, text = refused(iot.create_topic_rule, ruleName="r", topicRulePayload=forbidden)
    assert code == "InvalidRequestException"
    assert "does not allow kinesis:PutRecord on arn:aws:kinesis:us-east-1:000000000000:stream/other" in text
    # Which stream it will be is known when the message comes.
    later = to_stream("SELECT * FROM 'a'", errorAction={"republish": {"topic": "errors", "roleArn": ROLE}})
    later["actions"][0]["kinesis"]["streamName"] = "${stream}"
    iot.create_topic_rule(ruleName="r", topicRulePayload=later)
    iot.create_topic_rule(ruleName="e", topicRulePayload=to_stream(
        "SELECT get(failures, 0).errorMessage AS why FROM 'errors'"))
    publish(weir, '{"stream": "sensors"}', "a")
    publish(weir, '{"stream": "other"}', "a")
    assert data(weir) == ['{"stream": "sensors"}', json.dumps(
        {"why": f"the role {ROLE} does not allow kinesis:PutRecord on arn:aws:kinesis:us-east-1:000000000000:stream/other"},
        separators=(",", ":"))]
    assert weir.stream_records("other") == []
    unknown = to_stream("SELECT * FROM 'a'")
    unknown["actions"][0]["kinesis"]["roleArn"] = "arn:aws:iam::000000000000:role/none"
    assert "there is no role" in refused(iot.create_topic_rule, ruleName="u", topicRulePayload=unknown)[2]


def test_a_stream_may_come_after_its_rule(make_weir):
    weir = make_weir(rule_config())
    rule = to_stream("SELECT * FROM 'a'")
    rule["actions"][0]["kinesis"]["streamName"] = "late"
    client(weir).create_topic_rule(ruleName="r", topicRulePayload=rule)
    publish(weir, "1", "a")
    kinesis = client(weir, "kinesis")
    kinesis.create_stream(StreamName="late", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="late", WaiterConfig={"Delay": 1})
    publish(weir, "2", "a")
    assert [record["data"] for record in weir.stream_records("late")] == ["2"]
    kinesis.delete_stream(StreamName="late")
    weir.kill()
    weir.start()  # a rule whose stream is gone keeps nobody from starting
    assert client(weir).get_topic_rule(ruleName="r")["rule"]["ruleDisabled"] is False


def test_the_key_s_policy_says_who_may_change_rules(make_weir):
    policies = {"reader": {"statement": [{"effect": "Allow", "action": ["iot:Get*", "iot:List*"], "resource": "*"}]}}
    weir = make_weir(rule_config(policies=policies, credentials=[
        {"access_key_id": KEY, "secret_access_key": SECRET, "policy": "reader"}]))
    iot = client(weir)
    assert iot.get_topic_rule(ruleName="fixed")["rule"]["ruleName"] == "fixed"
    code, status, text = refused(iot.create_topic_rule, ruleName="r", topicRulePayload=to_stream("SELECT * FROM 'a'"))
    assert (code, status) == ("AccessDeniedException", 403)
    assert "iot:CreateTopicRule" in text and "arn:aws:iot:us-east-1:000000000000:rule/r" in text
    assert [rule["ruleName"] for rule in iot.list_topic_rules()["rules"]] == ["fixed"]


def test_secrets_come_from_files(make_weir, tmp_path):
    secret = tmp_path / "db.json"
    secret.write_text('{"password": "swordfish"}')
    weir = make_weir(rule_config(secrets={"db": {"file": str(secret)}, "env": {"value": "${env:HOME}"}}))
    sql = f"SELECT get_secret('db', 'SecretString', 'password', '{ROLE}') AS p FROM 'a'"
    client(weir).create_topic_rule(ruleName="r", topicRulePayload=to_stream(sql))
    client(weir).create_topic_rule(ruleName="none", topicRulePayload=to_stream(
        f"SELECT get_secret('none', 'SecretString', '{ROLE}') AS p FROM 'a'"))
    publish(weir, "{}", "a")
    secret.write_text('{"password": "two"}')
    weir.signal(1)
    wait_for(lambda: "reloaded log" in weir.log(), what="the reload")
    publish(weir, "{}", "a")
    assert data(weir) == ['{"p":"swordfish"}', '{"p":"two"}']
    assert weir.metrics()['weir_rule_failed_total{rule="none"}'] == 2
    assert "swordfish" not in weir.log() and 'there is no secret "none"' in weir.log()
