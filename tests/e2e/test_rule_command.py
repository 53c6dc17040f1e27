"""`weir rule test`: a statement tried on a message."""
import json
import subprocess
import urllib.error
import urllib.request

import pytest

from test_pipeline import publish
from test_rule_api import KEY, ROLE, SECRET, client, rule_config, to_stream
from weir import PROGRAM, wait_for


def rule_test(sql, payload=None, *arguments, topic="dev/a1/t"):
    result = subprocess.run([PROGRAM, "rule", "test", "--sql", sql, "--topic", topic, *arguments,
                             *([] if payload is None else ["--payload", "-"])],
                            input=payload, capture_output=True, timeout=60)
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr.decode()


def test_a_rule_that_fires():
    code, said = rule_test("SELECT t / 3 AS third, topic(2) AS id FROM 'dev/+/t' WHERE t > 50", b'{"t": 215}',
                           "--sql-version", "2016-03-23")
    assert code == 0
    assert said == {"valid": True, "matched": True, "where": {"type": "Boolean", "value": True}, "fires": True,
                    "result": {"third": 71.66666666666666666666666666666667, "id": "a1"}}


def test_a_rule_that_does_not_and_why():
    code, said = rule_test("SELECT t FROM 'dev/+/t' WHERE t > 50", b'{"T": 215}')
    assert code == 0 and not said["fires"]
    assert said["where"] == {"type": "Undefined"} and "WHERE" in said["reason"]
    code, said = rule_test("SELECT * FROM 'other/#'", b"{}")
    assert code == 0 and not said["matched"] and not said["fires"]


def test_a_payload_from_a_file_or_none(tmp_path):
    file = tmp_path / "payload"
    file.write_bytes(b"\x01\x02\xff")
    code, said = rule_test("SELECT * FROM 'dev/#'", None, "--payload", str(file))
    assert code == 0 and said["result_base64"] == "AQL/"
    code, said = rule_test("SELECT *, 1 AS one FROM 'dev/#'")
    assert code == 0 and said["result"] == {"one": 1}
    code, said = rule_test("SELECT * FROM 'dev/#'", None, "--payload", str(tmp_path / "none"))
    assert code == 1 and "No such file" in said


def test_a_statement_with_a_mistake():
    code, said = rule_test("SELECT t\nFROM 'dev/#' WHERE nosuch(t)", b"{}")
    assert code == 1
    assert said == {"valid": False, "error": {"line": 2, "column": 20, "message": "there is no function nosuch()"}}


def test_a_wrong_command_line():
    for arguments in (["test"], ["test", "--sql", "x"], ["try"], ["test", "--sql", "x", "--topic", "t", "--sql-version", "1"]):
        result = subprocess.run([PROGRAM, "rule", *arguments], capture_output=True, text=True, timeout=60)
        assert result.returncode == 64 and "usage" in result.stderr


def weir_rule(weir, *arguments):
    return subprocess.run([PROGRAM, "rule", *arguments, "--api", f"http://{weir.addresses['api']}"],
                          env={"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}, capture_output=True, timeout=60)


def test_a_rule_of_a_file_with_its_actions(tmp_path):
    config = rule_config(roles={"r": {"statement": [{"effect": "Allow", "action": "kinesis:*", "resource": "*"}]}}, rules={"one": {
        "sql": "SELECT t FROM 'd/+/t' WHERE t > 50", "sql_version": "2016-03-23", "role": "r",
        "actions": [{"kinesis": {"stream_name": "sensors", "partition_key": "${topic(2)}-${t}"}},
                    {"republish": {"topic": "hot/${clientid()}"}}],
        "error_action": {"republish": {"topic": "errors/${topic(2)}"}}}})
    file, payload = tmp_path / "weir.yaml", tmp_path / "payload"
    file.write_text(json.dumps(config))
    payload.write_text('{"t": 60}')

    def test(topic, *arguments):
        result = subprocess.run([PROGRAM, "rule", "test", "--config", str(file), "--rule", "one", "--topic", topic,
                                 "--payload", str(payload), "--client", "c1", *arguments], capture_output=True, timeout=60)
        return json.loads(result.stdout) if result.stdout else result.stderr.decode()

    # What the role forbids of a target that is a template shows when there is a message.
    said = test("d/a1/t")
    assert said["fires"] and said["result"] == {"t": 60} and said["where"] == {"type": "Boolean", "value": True}
    assert said["actions"][0] == {"kinesis": {"streamName": "sensors", "partitionKey": "a1-60"}}
    assert said["actions"][1]["republish"] == {"topic": "hot/c1"}
    assert said["actions"][1]["refused"] == (
        "the role r does not allow iot:Publish on arn:aws:iot:us-east-1:000000000000:topic/hot/c1")
    assert said["error_action"]["republish"] == {"topic": "errors/a1"}
    payload.write_text('{"t": 40}')
    said = test("d/a1/t")
    assert not said["fires"] and said["reason"] == "WHERE is not true"
    payload.write_text('{"t": 60}')
    assert test("other")["reason"] == "FROM does not take this topic"


def test_rules_are_tried_on_a_running_weir(make_weir):
    weir = make_weir(rule_config(api={"bind": "127.0.0.1:0", "auth": "open"}))

    def ask(body):
        request = urllib.request.Request(f"http://{weir.addresses['api']}/v1/rules:test", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    assert ask({"sql": "SELECT * FROM 'a/#'", "topic": "a/b", "payload": {"x": 1}})["result"] == {"x": 1}
    assert ask({"sql": "SELECT *", "topic": "a", "payloadBase64": "AQL/"})["result_base64"] == "AQL/"
    assert ask({"ruleName": "fixed", "topic": "fixed", "payload": "text"})["actions"] == [
        {"kinesis": {"streamName": "sensors", "partitionKey": "k"}}]
    assert ask({"rule": to_stream("SELECT x FROM 'a'", partition_key="${x}"), "topic": "a", "payload": {"x": 1}})["actions"] == [
        {"kinesis": {"streamName": "sensors", "partitionKey": "1", "roleArn": ROLE}}]
    said = ask({"sql": "SELECT nosuch() AS x FROM 'a'", "topic": "a"})
    assert not said["valid"] and said["error"]["column"] == 8
    for wrong in ({"topic": "a"}, {"ruleName": "none", "topic": "a"}, {"rule": {}, "topic": "a"}):
        with pytest.raises(urllib.error.HTTPError):
            ask(wrong)


def test_ls_and_show(make_weir):
    weir = make_weir(rule_config())
    client(weir).create_topic_rule(ruleName="mine", topicRulePayload=to_stream("SELECT * FROM 'a/+' WHERE t > 1"))
    client(weir).create_topic_rule(ruleName="off", topicRulePayload={**to_stream("SELECT * FROM 'b'"), "ruleDisabled": True})
    lines = [line.split() for line in weir_rule(weir, "ls").stdout.decode().splitlines()]
    assert [line[:3] for line in lines] == [["fixed", "enabled", "fixed"], ["mine", "enabled", "a/+"], ["off", "disabled", "b"]]
    assert "weir.yaml:" in lines[0][3] and lines[1][3] == "api"
    for payload in ('{"t": 2}', '{"t": 0}', "no json"):
        publish(weir, payload, "a/1")
    # Replacing a rule under its name keeps its counts.
    client(weir).replace_topic_rule(ruleName="mine", topicRulePayload=to_stream("SELECT * FROM 'a/+' WHERE t > 2"))
    shown = json.loads(weir_rule(weir, "show", "mine").stdout)
    assert shown["rule"]["sql"] == "SELECT * FROM 'a/+' WHERE t > 2"
    assert shown["metrics"] == {"TopicMatch": 3, "RulesExecuted": 1, "ParseError": 1, "RuleMessageThrottled": 0, "FunctionFailure": 0,
                                "actions": [{"action": "kinesis", "Success": 1, "Failure": 0}]}
    unknown = weir_rule(weir, "show", "none")
    assert unknown.returncode == 1 and b"There is no rule none" in unknown.stderr


def test_a_rule_is_followed(make_weir):
    weir = make_weir(rule_config(workers=2))
    iot = client(weir)
    rule = to_stream("SELECT t FROM 'a' WHERE t > 50", errorAction={"republish": {"topic": "errors", "roleArn": ROLE}})
    rule["actions"].append({"kinesis": {"streamName": "none", "partitionKey": "k", "roleArn": ROLE}})
    iot.create_topic_rule(ruleName="mine", topicRulePayload=rule)
    process = subprocess.Popen([PROGRAM, "rule", "trace", "mine", "--count", "3", "--api", f"http://{weir.addresses['api']}"],
                               env={"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}, stdout=subprocess.PIPE)
    try:
        assert json.loads(process.stdout.readline()) == {"following": True}
        publish(weir, '{"t": 60}', "a")
        publish(weir, '{"t": 40}', "a")
        iot.replace_topic_rule(ruleName="mine", topicRulePayload=to_stream("SELECT t AS u FROM 'a'"))
        publish(weir, '{"t": 30}', "a")
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    lines.sort(key=lambda line: line["at"])  # each worker tells its own
    assert [(line["rule"], line["topic"], line["fires"]) for line in lines] == [
        ("mine", "a", True), ("mine", "a", False), ("mine", "a", True)]
    assert lines[0]["where"] == {"type": "Boolean", "value": True} and lines[0]["result"] == {"t": 60}
    assert [(action.get("action") or action["error_action"], action["resource"], action["outcome"])
            for action in lines[0]["actions"]] == [
        ("kinesis", "sensors", "success"), ("kinesis", "none", "failure"), ("republish", "errors", "success")]
    assert lines[0]["actions"][1]["error"] == 'there is no stream "none"'
    assert lines[1]["reason"] == "WHERE is not true" and "actions" not in lines[1]
    assert lines[2]["result"] == {"u": 30}


def test_who_follows_no_more_is_forgotten(make_weir):
    weir = make_weir(rule_config(api={"bind": "127.0.0.1:0", "auth": "open"}))
    url = f"http://{weir.addresses['api']}/v1/rules/fixed/trace"
    answers = [urllib.request.urlopen(url, timeout=20) for _ in range(16)]
    for answer in answers:
        assert json.loads(answer.readline()) == {"following": True}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=20)
    assert caught.value.code == 429
    for answer in answers[1:]:
        answer.close()

    def again():
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.loads(answer.readline())

    wait_for(again, what="room for another one")
    publish(weir, "1", "fixed")
    assert json.loads(answers[0].readline())["result"] == 1
    assert weir.stop() == 0  # while one follows
