"""Topic rule destinations through AWS's own clients: made, confirmed by their owner, switched off, asked again, deleted."""
import base64
import json
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from test_actions import Hook, publish
from test_kinesis_api import KEY, SECRET
from test_rule_api import client, command_line, refused, rule_config
from weir import wait_for

ACCOUNT = "arn:aws:iot:us-east-1:000000000000:ruledestination/http/"


@pytest.fixture
def hook():
    instance = Hook()
    yield instance
    instance.close()


def to_hook(url, **more):
    """A rule on out/# whose failures become records of the stream `sensors`."""
    return {"sql": "SELECT * FROM 'out/#'", "awsIotSqlVersion": "2016-03-23", "actions": [{"http": {"url": url, **more}}],
            "errorAction": {"kinesis": {"streamName": "sensors", "partitionKey": "k", "roleArn": "arn:aws:iam::000000000000:role/iot"}}}


def asked(hook):
    """The next request for confirmation: its path, its headers and what it says."""
    path, headers, body = wait_for(lambda: hook.requests and hook.requests.pop(0), what="the request for confirmation")
    return path, headers, json.loads(body)


def errors(weir):
    return [json.loads(record["data"]) for record in weir.stream_records()]


def get(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return answer.status


def test_a_destination_on_the_command_line(make_weir, hook, tmp_path):
    weir = make_weir(rule_config())
    aws = command_line(weir, tmp_path)
    made = aws("create-topic-rule-destination", "--destination-configuration",
               f"httpUrlConfiguration={{confirmationUrl={hook.url('/in')}}}")["topicRuleDestination"]
    arn = made["arn"]
    assert arn.startswith(ACCOUNT) and made["status"] == "IN_PROGRESS"
    assert made["httpUrlProperties"] == {"confirmationUrl": hook.url("/in")}
    assert made["statusReason"].startswith("Awaiting confirmation. Confirmation message sent on 20")
    path, headers, message = asked(hook)
    assert path == f"/in/?confirmationToken={message['confirmationToken']}"
    assert headers["x-amz-rules-engine-message-type"] == message["messageType"] == "DestinationConfirmation"
    assert headers["x-amz-rules-engine-destination-arn"] == message["arn"] == arn
    assert headers["Content-Type"] == "application/json"
    assert message["enableUrl"] == weir.url("/confirmdestination/" + message["confirmationToken"])

    iot = client(weir)
    iot.create_topic_rule(ruleName="out", topicRulePayload=to_hook(hook.url("/in/${topic(2)}"), confirmationUrl=hook.url("/in")))
    publish(weir, ["1"])  # nobody has confirmed: it fails, as it does at AWS
    report = wait_for(lambda: errors(weir), what="the report")[0]
    assert report["failures"][0]["failedAction"] == "HttpAction"
    assert report["failures"][0]["errorMessage"] == f"{hook.url('/in')} is not confirmed: its destination is IN_PROGRESS"

    assert get(message["enableUrl"]) == 200
    shown = aws("get-topic-rule-destination", "--arn", arn)["topicRuleDestination"]
    assert shown["status"] == "ENABLED" and "statusReason" not in shown
    assert datetime.fromisoformat(shown["lastUpdatedAt"]) >= datetime.fromisoformat(shown["createdAt"])
    assert abs(datetime.now(timezone.utc) - datetime.fromisoformat(shown["createdAt"])) < timedelta(minutes=5)
    publish(weir, ["2"])
    wait_for(lambda: hook.bodies() == [b"2"], what="the message")
    assert hook.requests.pop()[0] == "/in/a"

    iot.update_topic_rule_destination(arn=arn, status="DISABLED")
    publish(weir, ["3"])
    wait_for(lambda: len(errors(weir)) == 2, what="the second report")
    assert errors(weir)[1]["failures"][0]["errorMessage"].endswith("its destination is DISABLED")
    weir.kill()
    weir.start()
    aws, iot = command_line(weir, tmp_path), client(weir)
    listed = aws("list-topic-rule-destinations")["destinationSummaries"]
    assert [(one["arn"], one["status"], one["httpUrlSummary"]) for one in listed] == [
        (arn, "DISABLED", {"confirmationUrl": hook.url("/in")})]
    assert get(weir.url("/confirmdestination/" + message["confirmationToken"]), "POST") == 200  # and it stays DISABLED
    publish(weir, ["4"])
    wait_for(lambda: len(errors(weir)) == 3, what="the third report")
    iot.update_topic_rule_destination(arn=arn, status="ENABLED")
    publish(weir, ["5"])
    wait_for(lambda: hook.bodies() == [b"5"], what="the message")
    hook.requests.clear()

    aws("update-topic-rule-destination", "--arn", arn, "--status", "IN_PROGRESS")
    again = asked(hook)[2]
    assert again["arn"] == arn and again["confirmationToken"] != message["confirmationToken"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(weir.url("/confirmdestination/" + message["confirmationToken"]))
    aws("confirm-topic-rule-destination", "--confirmation-token", again["confirmationToken"])
    publish(weir, ["6"])
    wait_for(lambda: hook.bodies() == [b"6"], what="the message")
    aws("delete-topic-rule-destination", "--arn", arn)
    publish(weir, ["7"])
    wait_for(lambda: len(errors(weir)) == 4, what="the fourth report")
    assert errors(weir)[3]["failures"][0]["errorMessage"].endswith("there is no destination with this confirmation URL")
    assert base64.b64decode(errors(weir)[3]["base64OriginalPayload"]) == b"7"
    assert iot.list_topic_rule_destinations()["destinationSummaries"] == []
    assert weir.stop() == 0


def test_what_is_refused(make_weir, hook):
    weir = make_weir(rule_config())
    iot = client(weir)

    def create(url):
        return iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": url}})
    arn = create(hook.url("/in"))["topicRuleDestination"]["arn"]
    code, status, message = refused(create, hook.url("/in"))
    assert (code, status) == ("ResourceAlreadyExistsException", 409) and "already" in message
    for url in ("ftp://host/", "http://user@host/", "http://host/a b", "http://host/${topic()}", "", "http://host/" + "x" * 2000):
        assert refused(create, url)[:2] == ("InvalidRequestException", 400), url
    vpc = {"vpcConfiguration": {"subnetIds": ["s"], "securityGroups": [], "vpcId": "v", "roleArn": "r"}}
    code, status, message = refused(iot.create_topic_rule_destination, destinationConfiguration=vpc)
    assert (code, status) == ("InvalidRequestException", 400) and "there are no VPCs here" in message
    for unknown in (ACCOUNT + "0" * 36, "arn:aws:iot:eu-west-1:000000000000:ruledestination/http/" + arn[-36:], "x"):
        assert refused(iot.get_topic_rule_destination, arn=unknown)[:2] == ("UnauthorizedException", 401), unknown
        assert refused(iot.delete_topic_rule_destination, arn=unknown)[:2] == ("UnauthorizedException", 401)
        assert refused(iot.update_topic_rule_destination, arn=unknown, status="ENABLED")[:2] == ("UnauthorizedException", 401)
    for status in ("ENABLED", "DISABLED", "ERROR", "DELETING"):  # nobody confirmed it
        assert refused(iot.update_topic_rule_destination, arn=arn, status=status)[:2] == ("InvalidRequestException", 400), status
    assert refused(iot.confirm_topic_rule_destination, confirmationToken="0" * 64)[:2] == ("InvalidRequestException", 400)
    assert iot.get_topic_rule_destination(arn=arn)["topicRuleDestination"]["status"] == "IN_PROGRESS"


def test_lists_have_pages(make_weir, hook):
    weir = make_weir(rule_config())
    iot = client(weir)
    for n in range(5):
        iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": hook.url(f"/{n}")}})
    pages = list(iot.get_paginator("list_topic_rule_destinations").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["destinationSummaries"]) for page in pages] == [2, 2, 1]
    assert {one["httpUrlSummary"]["confirmationUrl"] for page in pages for one in page["destinationSummaries"]} == {
        hook.url(f"/{n}") for n in range(5)}


def test_an_endpoint_that_does_not_answer_is_named(make_weir):
    gone = Hook()
    url = gone.url("/in")
    gone.close()
    weir = make_weir(rule_config())
    iot = client(weir)
    arn = iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": url}})[
        "topicRuleDestination"]["arn"]
    wait_for(lambda: "no response received from the endpoint: " in
             iot.get_topic_rule_destination(arn=arn)["topicRuleDestination"]["statusReason"], what="the reason")


def test_the_file_s_destination_is_one_of_them(make_weir, hook):
    """Its messages wait for the owner, who is asked by Weir itself; the API shows it and can switch it off."""
    rules = {"out": {"sql": "SELECT * FROM 'out/#'", "actions": [{"http": {"url": hook.url("/in"), "confirmation_url": hook.url("/in")}}],
                     "error_action": {"kinesis": {"stream_name": "sensors", "partition_key": "k"}}}}
    weir = make_weir(rule_config(rules=rules))
    iot = client(weir)
    publish(weir, ["1"])
    token = asked(hook)[2]["confirmationToken"]
    one = iot.list_topic_rule_destinations()["destinationSummaries"][0]
    assert one["status"] == "IN_PROGRESS" and one["httpUrlSummary"]["confirmationUrl"] == hook.url("/in")
    iot.confirm_topic_rule_destination(confirmationToken=token)
    wait_for(lambda: hook.bodies() == [b"1"], what="what waited")
    iot.update_topic_rule_destination(arn=one["arn"], status="DISABLED")
    publish(weir, ["2"])
    wait_for(lambda: len(errors(weir)) == 1, what="the report")
    iot.update_topic_rule_destination(arn=one["arn"], status="ENABLED")
    publish(weir, ["3"])
    wait_for(lambda: hook.bodies() == [b"1", b"3"], what="the third")
    iot.delete_topic_rule_destination(arn=one["arn"])
    hook.requests.clear()
    publish(weir, ["4"])  # asked for anew
    assert asked(hook)[2]["confirmationToken"] != token


def test_each_value_of_a_confirmation_url_needs_a_destination(make_weir, hook):
    weir = make_weir(rule_config())
    iot = client(weir)
    iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": hook.url("/a")}})
    iot.confirm_topic_rule_destination(confirmationToken=asked(hook)[2]["confirmationToken"])
    iot.create_topic_rule(ruleName="out", topicRulePayload=to_hook(hook.url("/${topic(2)}/x"), confirmationUrl=hook.url("/${topic(2)}")))
    publish(weir, ["1"], topic="out/a")
    publish(weir, ["2"], topic="out/b")
    wait_for(lambda: hook.requests and errors(weir), what="one post and one report")
    assert [(path, body) for path, _, body in hook.requests] == [("/a/x", b"1")]
    assert errors(weir)[0]["failures"][0]["failedResource"] == hook.url("/b/x")


def test_policies_name_destinations(make_weir, hook):
    policies = {"looker": {"statement": [
        {"effect": "Allow", "action": ["iot:CreateTopicRuleDestination", "iot:ListTopicRuleDestinations"], "resource": "*"},
        {"effect": "Allow", "action": "iot:GetTopicRuleDestination", "resource": ACCOUNT + "*"}]}}
    weir = make_weir(rule_config(policies=policies, credentials=[
        {"access_key_id": KEY, "secret_access_key": SECRET, "policy": "looker"}]))
    iot = client(weir)
    arn = iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": hook.url("/a")}})[
        "topicRuleDestination"]["arn"]
    assert iot.get_topic_rule_destination(arn=arn)["topicRuleDestination"]["arn"] == arn
    assert refused(iot.delete_topic_rule_destination, arn=arn)[:2] == ("AccessDeniedException", 403)


def test_behind_a_proxy_the_enable_url_is_the_public_one(make_weir, hook):
    config = rule_config()
    config["web"]["public_url"] = "https://weir.example.org/sensors"
    weir = make_weir(config)
    client(weir).create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": hook.url("/in")}})
    _, _, message = asked(hook)
    assert message["enableUrl"] == "https://weir.example.org/sensors/confirmdestination/" + message["confirmationToken"]
    assert get(weir.url("/confirmdestination/" + message["confirmationToken"])) == 200
    assert message["confirmationToken"] not in weir.log(), "who reads the log is not the owner"
