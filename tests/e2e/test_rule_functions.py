"""Rules whose statements call functions: aws_lambda(), through the log that such a rule has."""
import base64
import json
import os
import subprocess
import urllib.request

import pytest
from test_rule_api import ROLE, client, refused, rule_config, to_stream
from weir import PROGRAM, pipeline, wait_for

# What is asked for by the event: {"fail": ...}, {"sleep": seconds}, {"raw": text}; else it is answered with what was given.
FUNCTION = """
import http.client, json, os, time
while os.path.exists(os.environ['SEEN'] + '.hold'):
    time.sleep(0.02)
conn = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
def post(path, body):
    conn.request('POST', '/2018-06-01/runtime/invocation/' + path, body)
    conn.getresponse().read()
while True:
    conn.request('GET', '/2018-06-01/runtime/invocation/next')
    answer = conn.getresponse()
    text = answer.read().decode()
    id = answer.headers['Lambda-Runtime-Aws-Request-Id']
    with open(os.environ['SEEN'], 'a') as seen:
        seen.write(text + '\\n')
    event = json.loads(text)
    event = event if isinstance(event, dict) else {'given': event}
    since = time.monotonic()
    time.sleep(event.get('sleep', 0))
    if 'fail' in event:
        post(id + '/error', json.dumps({'errorType': 'Bad', 'errorMessage': event['fail']}))
    elif 'raw' in event:
        post(id + '/response', event['raw'])
    else:
        post(id + '/response', json.dumps({'got': event, 'twice': event.get('n', 0) * 2, 'is_even': event.get('n', 0) % 2 == 0,
                                              'since': since, 'until': time.monotonic()}))
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:function:work-1"
TO_STREAM = {"kinesis": {"stream_name": "sensors", "partition_key": "${topic(2)}"}}
TO_ERRORS = {"kinesis": {"stream_name": "errors", "partition_key": "k"}}


def functions(directory, **changes):
    return {"work-1": {"command": ["python3", "-c", FUNCTION], "timeout": "10s", "concurrency": 2,
                       "environment": {"SEEN": os.path.join(directory, "seen")}, **changes}}


@pytest.fixture
def make(make_weir):
    """A Weir with the function and one rule `out` on out/#."""
    def begin(sql=None, actions=None, error_action=TO_ERRORS, start=True, base=pipeline, function={}, **changes):
        rule = {"sql": sql, "sql_version": "2016-03-23", "actions": actions or [TO_STREAM], "error_action": error_action}
        weir = make_weir(start=False)
        config = base(**{"event_source_mappings": None, "delivery_streams": None, "buckets": None,
                         "streams": {"sensors": {}, "errors": {}}, "rules": {"out": rule} if sql else None, **changes})
        config["functions"] = functions(weir.directory, **function)
        weir.write_config({key: value for key, value in config.items() if value is not None})
        return weir.start() if start else weir
    return begin


def publish(weir, payloads, topic="out/a", *more):
    """QoS 1; returns when all are acknowledged."""
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", topic, "-l", "-q", "1", *more],
                   input="".join(f"{json.dumps(payload)}\n" for payload in payloads), text=True, check=True, timeout=60)


def made(weir, count, stream="sensors"):
    """What the rule has made, when it is so many."""
    wait_for(lambda: len(weir.stream_records(stream)) >= count, timeout_s=40, interval_s=0.1, what=f"{count} records in {stream}")
    records = [json.loads(record["data"]) for record in weir.stream_records(stream)]
    assert len(records) == count, records
    return records


def seen(weir):
    with open(weir.path("seen"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_answers_in_select_where_set_and_templates(make):
    weir = make(f"SET @answer = aws_lambda('{ARN}', *) "
                f"SELECT n, @answer.twice AS twice, aws_lambda('work-1:live', {{'n': @answer.twice}}).twice AS four, "
                f"topic(2) AS place, clientid() AS id, aws_lambda('{ARN}', aws_lambda('{ARN}', n).got.given).got.given AS nested "
                f"FROM 'out/#' WHERE aws_lambda('{ARN}', *).is_even",
                actions=[{"kinesis": {"stream_name": "sensors", "partition_key": "p${aws_lambda('work-1', *).twice}"}}])
    publish(weir, [{"n": n} for n in range(4)], "out/room", "-i", "device-7")
    assert made(weir, 2) == [{"n": n, "twice": 2 * n, "four": 4 * n, "place": "room", "id": "device-7", "nested": n} for n in [0, 2]]
    assert [record["partition_key"] for record in weir.stream_records()] == ["p0", "p4"]
    # SET and WHERE for each message; three in SELECT and one in the template where WHERE is true.
    assert len(seen(weir)) == 4 * 2 + 2 * 4
    metrics = weir.metrics()
    assert metrics['weir_rule_function_calls_total{rule="out"}'] == 16 and metrics['weir_rule_topic_match_total{rule="out"}'] == 4
    assert metrics['weir_rule_executed_total{rule="out"}'] == 2 and metrics.get('weir_rule_failed_total{rule="out"}', 0) == 0


def test_chance_and_the_clock_stand_still_while_functions_are_asked(make):
    weir = make(f"SELECT aws_lambda('{ARN}', {{'id': newuuid(), 'at': timestamp(), 'chance': rand()}}).got AS first, "
                f"aws_lambda('{ARN}', {{'id': newuuid(), 'trace': traceid()}}).got AS second, traceid() AS trace FROM 'out/#'")
    publish(weir, [{}, {}])
    records = made(weir, 2)
    assert len(seen(weir)) == 4, "each is called once"
    assert len({record[which]["id"] for record in records for which in ["first", "second"]}) == 4
    assert all(record["second"]["trace"] == record["trace"] for record in records)


def test_failures_go_to_the_error_action(make):
    weir = make(f"SELECT aws_lambda('{ARN}', *) AS x, n FROM 'out/#'")
    publish(weir, [{"n": 1}], "out/b")
    made(weir, 1)  # the function is up, so that a call has two seconds and no more
    publish(weir, [{"fail": "it is broken", "n": 2}, {"raw": "no json", "n": 3}, {"sleep": 2.3, "n": 4}], "out/b")
    reports = made(weir, 3, "errors")
    publish(weir, [{"n": 5}], "out/b")
    assert [record["n"] for record in made(weir, 2)] == [1, 5]
    for report, n, why in zip(reports, [2, 3, 4], ["it is broken", "its answer is no JSON", "it has not answered within 2000 ms"]):
        assert report["ruleName"] == "out" and report["topic"] == "out/b"
        assert json.loads(base64.b64decode(report["base64OriginalPayload"]))["n"] == n
        failure, = report["failures"]
        assert failure["failedAction"] == "aws_lambda" and failure["failedResource"] == ARN
        assert 'aws_lambda: the function "work-1": ' in failure["errorMessage"] and why in failure["errorMessage"]
    metrics = weir.metrics()
    assert metrics['weir_rule_failed_total{rule="out"}'] == 3 and metrics['weir_rule_function_timeouts_total{rule="out"}'] == 1
    assert metrics['weir_rule_error_action_success_total{rule="out",action="kinesis"}'] == 3


def test_a_default_takes_the_place_of_a_failure(make):
    weir = make(f"SELECT get_or_default(aws_lambda('{ARN}', *).twice, 'none') AS x FROM 'out/#'")
    publish(weir, [{"n": 1}, {"fail": "no"}, {"n": 2}])
    assert [record["x"] for record in made(weir, 3)] == [2, "none", 4]


def test_every_kind_of_action_gets_the_result(make):
    """Streams are in each other test; here what goes through the broker, and what has a log of its own."""
    def rule(sql, *actions):
        return {"sql": sql, "sql_version": "2016-03-23", "actions": list(actions)}
    weir = make(rules={"out": rule(f"SELECT aws_lambda('{ARN}', *).twice AS n FROM 'out/#'",
                                   {"republish": {"topic": "made/${topic(2)}", "qos": 1}}, {"lambda": {"function_arn": ARN}}),
                       "made": rule(f"SELECT aws_lambda('{ARN}', *).twice AS n, topic() AS topic FROM 'made/#'", TO_STREAM)})
    publish(weir, [{"n": 1}])
    assert made(weir, 1) == [{"n": 4, "topic": "made/a"}]
    wait_for(lambda: len(seen(weir)) == 3, what="the event")
    assert sorted(event["n"] for event in seen(weir)) == [1, 2, 2]


def test_order_is_kept_and_functions_run_side_by_side(make):
    weir = make(f"SET @answer = aws_lambda('{ARN}', *) SELECT n, @answer.since AS since, @answer.until AS until FROM 'out/#'")
    publish(weir, [{"n": n, "sleep": 0.3 if n % 5 == 0 else 0} for n in range(30)])
    records = made(weir, 30)
    assert [record["n"] for record in records] == list(range(30))
    assert any(one["until"] > other["since"] for one, other in zip(records, records[1:])), "none began before another had ended"


def test_to_wait_for_a_slow_function_is_no_failure(make):
    weir = make(f"SELECT n, aws_lambda('{ARN}', *).twice AS twice FROM 'out/#'", function={"concurrency": 1})
    publish(weir, [{"n": n, "sleep": 0.4} for n in range(8)])
    assert made(weir, 8) == [{"n": n, "twice": 2 * n} for n in range(8)]
    assert weir.stream_records("errors") == []


def test_what_was_acknowledged_is_evaluated_after_a_kill(make):
    weir = make(f"SELECT n, aws_lambda('{ARN}', *).twice AS twice FROM 'out/#'", start=False)
    hold = weir.path("seen.hold")
    open(hold, "w", encoding="utf-8").close()
    weir.start()
    publish(weir, [{"n": n} for n in range(30)])
    assert weir.stream_records() == [] and not os.path.exists(weir.path("seen"))
    weir.kill()
    os.unlink(hold)
    weir.start()
    assert made(weir, 30) == [{"n": n, "twice": 2 * n} for n in range(30)]
    wait_for(lambda: weir.metrics()['weir_action_lag_records{rule="out",action="statement",log="out-0-statement"}'] == 0, what="no lag")
    assert weir.stop() == 0


@pytest.mark.parametrize("by", ["statement", "action"])
def test_a_stop_begins_no_further_call(make, by):
    """The one that runs may end; the others, which would take seconds more, are made after the next start."""
    if by == "statement":
        weir = make(f"SELECT n, aws_lambda('{ARN}', *).twice AS twice FROM 'out/#'", function={"concurrency": 1})
    else:
        weir = make("SELECT * FROM 'out/#'", actions=[{"lambda": {"function_arn": ARN}}], function={"concurrency": 1})
    publish(weir, [{"n": n, "sleep": 0.4} for n in range(7)])
    wait_for(lambda: os.path.exists(weir.path("seen")) and seen(weir), what="a call")
    begun = len(seen(weir))
    assert weir.stop() == 0
    assert len(seen(weir)) <= begun + 2  # one may end and the next begin before the signal comes
    weir.start()
    if by == "statement":
        assert made(weir, 7) == [{"n": n, "twice": 2 * n} for n in range(7)]
    wait_for(lambda: {event["n"] for event in seen(weir)} == set(range(7)), timeout_s=40, what="every call")
    assert weir.stream_records("errors") == []


def test_kills_lose_nothing(make):
    weir = make(f"SELECT n, aws_lambda('{ARN}', *).twice AS twice FROM 'out/#'")
    sent = 0
    for _ in range(int(os.environ.get("WEIR_ACTION_KILLS", "1"))):
        publish(weir, [{"n": n} for n in range(sent, sent + 50)])
        sent += 50
        weir.kill()
        weir.start()
    wait_for(lambda: {json.loads(r["data"])["n"] for r in weir.stream_records()} == set(range(sent)), timeout_s=40, interval_s=0.1,
             what="everything")
    assert weir.stream_records("errors") == []


def test_rules_that_are_made_and_changed_while_it_runs(make):
    weir = make(base=rule_config, rules={})
    iot = client(weir)
    text = "SELECT aws_lambda('{}', *).{} AS x FROM 'out/#'"
    for call, code, why in [("aws_lambda('nothing', *)", "InvalidRequestException", '1:19: there is no function "nothing"'),
                            ("aws_lambda(7, *)", "SqlParseException", "1:19: the function of aws_lambda() must be its ARN or its name"),
                            ("aws_lambda({'a': 1}, *)", "SqlParseException", "1:19: the function of aws_lambda() must be"),
                            ("aws_lambda('', *)", "SqlParseException", "1:19: the function of aws_lambda() must be")]:
        found, status, message = refused(iot.create_topic_rule, ruleName="r", topicRulePayload=to_stream(f"SELECT {call} AS x FROM 't'"))
        assert (found, status) == (code, 400) and why in message, message
    in_error_action = to_stream("SELECT * FROM 't'", errorAction={"kinesis": {
        "streamName": "errors", "partitionKey": "${aws_lambda('work-1', *)}", "roleArn": ROLE}})
    assert "an error action must not call" in refused(iot.create_topic_rule, ruleName="r", topicRulePayload=in_error_action)[2]

    iot.create_topic_rule(ruleName="r", topicRulePayload=to_stream(text.format(ARN, "twice")))
    publish(weir, [{"n": 1}])
    assert made(weir, 1) == [{"x": 2}]
    iot.replace_topic_rule(ruleName="r", topicRulePayload=to_stream(text.format("work-1", "got.n")))
    publish(weir, [{"n": 2}])
    assert made(weir, 2)[1:] == [{"x": 2}]
    assert "got.n" in iot.get_topic_rule(ruleName="r")["rule"]["sql"]
    iot.disable_topic_rule(ruleName="r")
    publish(weir, [{"n": 3}])
    iot.enable_topic_rule(ruleName="r")
    publish(weir, [{"n": 4}])
    assert made(weir, 3)[2:] == [{"x": 4}]
    iot.replace_topic_rule(ruleName="r", topicRulePayload=to_stream("SELECT n FROM 'out/#'"))
    publish(weir, [{"n": 5}])
    assert made(weir, 4)[3:] == [{"n": 5}]
    iot.replace_topic_rule(ruleName="r", topicRulePayload=to_stream(text.format(ARN, "twice")))
    publish(weir, [{"n": 6, "sleep": 0.5}])
    iot.delete_topic_rule(ruleName="r")
    assert made(weir, 5)[4:] == [{"x": 12}], "what was acknowledged is evaluated as the rule was"
    publish(weir, [{"n": 7}])
    assert len(seen(weir)) == 4 and len(made(weir, 5)) == 5


def test_a_rule_that_is_replaced_while_its_functions_work(make):
    weir = make(base=rule_config, rules={})
    iot = client(weir)
    text = "SELECT n, aws_lambda('work-1', {}).got.n AS x FROM 'out/#'"
    iot.create_topic_rule(ruleName="r", topicRulePayload=to_stream(text.format("*")))
    publish(weir, [{"n": 1}])
    made(weir, 1)
    publish(weir, [{"n": 2, "sleep": 0.5}, {"n": 3, "sleep": 1.5}, {"n": 4}])
    wait_for(lambda: any(event["n"] == 4 for event in seen(weir)), what="all are called")
    iot.replace_topic_rule(ruleName="r", topicRulePayload=to_stream(text.format("{'n': n + 10}")))
    assert made(weir, 4)[2:] == [{"n": 3, "x": 13}, {"n": 4, "x": 14}]


def test_the_role_of_a_rule_says_which(make):
    allow = {"effect": "Allow", "action": ["kinesis:PutRecord"], "resource": "*"}
    roles = {"all": {"statement": [allow, {"effect": "Allow", "action": "lambda:InvokeFunction", "resource": ARN}]},
             "some": {"statement": [allow]}}
    rule = {"sql": f"SELECT aws_lambda('{ARN}', *).twice AS x FROM 'out/#'", "sql_version": "2016-03-23", "actions": [TO_STREAM], "role": "all"}
    made_up = dict(rule, sql=f"SELECT aws_lambda(concat('work', '-1'), *).twice AS x FROM 'up/#'", role="some", error_action=TO_ERRORS)
    weir = make(roles=roles, rules={"out": rule, "up": made_up})
    publish(weir, [{"n": 1}])
    assert made(weir, 1) == [{"x": 2}]
    publish(weir, [{"n": 1}], "up/a")
    assert "the role some does not allow lambda:InvokeFunction" in made(weir, 1, "errors")[0]["failures"][0]["errorMessage"]
    config = json.loads(open(weir.config_path, encoding="utf-8").read())
    config["rules"]["out"]["role"] = "some"
    weir.write_config(config)
    check = subprocess.run([PROGRAM, "check", weir.config_path], capture_output=True, text=True, check=False)
    assert check.returncode and f"sql 1:19: the role some does not allow lambda:InvokeFunction on {ARN}" in check.stdout + check.stderr


def test_a_reading_function_that_fails_goes_to_the_error_action(make):
    weir = make("SELECT get_secret('none', 'SecretString', 'role') AS x FROM 'out/#'")
    publish(weir, [{"n": 1}])
    failure, = made(weir, 1, "errors")[0]["failures"]
    assert failure == {"failedAction": "get_secret", "failedResource": "none", "errorMessage": 'get_secret: there is no secret "none"'}
    assert weir.metrics()['weir_rule_failed_total{rule="out"}'] == 1


def test_a_trial_says_what_would_be_called(make, tmp_path):
    weir = make(f"SELECT aws_lambda('{ARN}', n).twice AS x FROM 'out/#' WHERE aws_lambda('{ARN}', *).is_even",
                api={"bind": "127.0.0.1:0", "auth": "open"})

    def ask(body):
        request = urllib.request.Request(f"http://{weir.addresses['api']}/v1/rules:test", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    question = {"ruleName": "out", "topic": "out/a", "payload": {"n": 1}}
    said = ask(question)
    assert not said["fires"] and said["reason"] == "it waits for the answer of a function"
    assert said["calls"] == [{"function": "work-1", "input": {"n": 1}}]
    said = ask({**question, "answers": [{"is_even": True}, {"twice": 2}]})
    assert said["fires"] and said["result"] == {"x": 2} and said["calls"][1] == {"function": "work-1", "input": 1, "answer": {"twice": 2}}
    payload = tmp_path / "payload"
    payload.write_text('{"n": 1}')
    command = [PROGRAM, "rule", "test", "--config", weir.config_path, "--rule", "out", "--topic", "out/a", "--payload", str(payload)]
    answers = ["--answers", '[{"is_even":false}]']
    said = [json.loads(subprocess.run(command + more, capture_output=True, check=True, timeout=60).stdout) for more in [[], answers]]
    assert said[0]["calls"] == [{"function": "work-1", "input": {"n": 1}}] and said[1]["reason"] == "WHERE is not true"
    assert not os.path.exists(weir.path("seen")), "nothing is called"


def test_who_follows_sees_the_evaluation(make):
    weir = make(f"SELECT aws_lambda('{ARN}', *).twice AS x FROM 'out/#' WHERE aws_lambda('{ARN}', *).twice > 2",
                api={"bind": "127.0.0.1:0", "auth": "open"})
    command = [PROGRAM, "rule", "trace", "out", "--count", "3", "--api", f"http://{weir.addresses['api']}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trace:
        assert json.loads(trace.stdout.readline()) == {"following": True}
        publish(weir, [{"n": 1}, {"n": 2}, {"fail": "broken"}])
        lines = [json.loads(line) for line in trace.stdout]
    assert [line["fires"] for line in lines] == [False, True, False]
    assert lines[1]["where"] == {"type": "Boolean", "value": True} and lines[1]["result"] == {"x": 4}
    assert lines[1]["actions"][0]["outcome"] == "success" and lines[0]["reason"] == "WHERE is not true"
    assert "broken" in lines[2]["reason"] and lines[2]["actions"][0]["error_action"] == "kinesis"
    assert len(seen(weir)) == 4
