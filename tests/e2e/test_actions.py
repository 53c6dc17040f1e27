"""Rule actions that reach outside, against real counterparts that go away and come back: Redis, a web hook, functions, S3."""
import base64
import http.server
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

import pytest

from test_redis import RedisServer
from test_s3 import S3Server
from weir import PROGRAM, pipeline, wait_for


def config_for(actions, error_action=None, select="SELECT *", **changes):
    """One rule `out` on out/# with these actions, and no pipeline beside it."""
    rule = {"sql": f"{select} FROM 'out/#'", "sql_version": "2016-03-23", "actions": actions}
    if error_action:
        rule["error_action"] = error_action
    return pipeline(functions=None, event_source_mappings=None, delivery_streams=None, buckets=None, rules={"out": rule}, **changes)


def publish(weir, lines, topic="out/a"):
    """One QoS 1 message per line; returns when all are acknowledged."""
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", topic, "-l", "-q", "1"], input="".join(f"{line}\n" for line in lines),
                   text=True, check=True, timeout=60)


@pytest.fixture
def server():
    instance = RedisServer(tempfile.mkdtemp(prefix="redis-")).start()
    yield instance
    instance.stop()


def to_list(server, *words):
    return {"redis": {"url": f"unix://{server.socket}", "command": ["RPUSH", "seen", *words]}}


# ---- redis, and with it what holds for every action ----

def test_redis_gets_every_message_in_order_through_an_outage(make_weir, server):
    weir = make_weir(config_for([to_list(server, "${topic(2)} ${n} @{payload}", "@{payload}")], select="SELECT n"))
    publish(weir, [json.dumps({"n": n, "more": 1}) for n in range(100)])
    wait_for(lambda: server.client().llen("seen") == 200, what="the first hundred")
    server.stop()
    publish(weir, [json.dumps({"n": n, "more": 1}) for n in range(100, 200)])
    wait_for(lambda: weir.metrics()['weir_action_lag_records{rule="out",action="redis",log="out-1-redis"}'] == 100, what="lag")
    server.start()
    wait_for(lambda: server.client().llen("seen") == 400, timeout_s=60, what="everything")
    seen = server.client().lrange("seen", 0, -1)
    assert seen[0::2] == [f"a {n} @{{payload}}".encode() for n in range(200)]
    assert seen[1::2] == [f'{{"n":{n}}}'.encode() for n in range(200)]
    wait_for(lambda: weir.metrics()['weir_action_lag_records{rule="out",action="redis",log="out-1-redis"}'] == 0, what="no lag")
    assert weir.metrics()['weir_rule_action_success_total{rule="out",action="redis"}'] == 200
    listing = subprocess.run([PROGRAM, "stream", "ls", "--data", weir.path("data")], capture_output=True, text=True, check=True).stdout
    assert "sensors" in listing and "out-1-redis" not in listing  # the log is nobody's stream
    assert weir.stop() == 0


def test_what_waits_survives_kill_and_restart(make_weir, server):
    weir = make_weir(config_for([to_list(server, "${n}")]))
    server.stop()
    publish(weir, [json.dumps({"n": n}) for n in range(300)])
    weir.kill()
    weir.start()
    publish(weir, [json.dumps({"n": n}) for n in range(300, 400)])
    server.start()
    wait_for(lambda: server.client().llen("seen") >= 400, timeout_s=60, what="everything")
    assert [int(n) for n in server.client().lrange("seen", 0, -1)] == list(range(400))


def test_kill_while_delivering_loses_nothing(make_weir, server):
    weir = make_weir(config_for([to_list(server, "${n}")]))
    sent = 0
    for _ in range(int(os.environ.get("WEIR_ACTION_KILLS", "3"))):
        publish(weir, [json.dumps({"n": n}) for n in range(sent, sent + 500)])
        sent += 500
        weir.kill()
        weir.start()
    wait_for(lambda: len(set(server.client().lrange("seen", 0, -1))) == sent, timeout_s=60, what="everything")


def test_a_command_that_redis_refuses_goes_to_the_error_action(make_weir, server):
    server.client().set("text", "x")
    weir = make_weir(config_for([{"redis": {"url": f"unix://{server.socket}", "command": ["INCR", "${key}"]}}],
                                error_action={"kinesis": {"stream_name": "sensors", "partition_key": "${topic(2)}"}}))
    publish(weir, ['{"key":"good"}', '{"key":"text","x":1}', '{"key":"good"}'])
    wait_for(lambda: server.client().get("good") == b"2", what="the good ones")
    record = wait_for(lambda: weir.stream_records(), what="the report")[0]
    report = json.loads(record["data"])
    assert record["partition_key"] == "a" and report["ruleName"] == "out" and report["topic"] == "out/a"
    assert base64.b64decode(report["base64OriginalPayload"]) == b'{"key":"text","x":1}'
    failure = report["failures"][0]
    assert failure["failedAction"] == "RedisAction" and failure["failedResource"] == "INCR"
    assert "ERR value is not an integer" in failure["errorMessage"]
    wait_for(lambda: weir.metrics()['weir_rule_action_failure_total{rule="out",action="redis"}'] == 1, what="the counter")
    assert weir.metrics()['weir_rule_error_action_success_total{rule="out",action="kinesis"}'] == 1


def test_an_error_action_that_republishes_to_its_own_rule_ends(make_weir, server):
    """Each turn goes through the action's log; the message's depth goes along, so the ninth is the last."""
    server.client().set("text", "x")
    weir = make_weir(config_for([{"redis": {"url": f"unix://{server.socket}", "command": ["INCR", "text"]}}],
                                error_action={"republish": {"topic": "out/a"}}))
    publish(weir, ["{}"])
    labels = '{rule="out",action="republish"}'
    wait_for(lambda: weir.metrics()[f"weir_rule_error_action_failure_total{labels}"] == 1, timeout_s=60, what="the end of the loop")
    assert weir.metrics()[f"weir_rule_error_action_success_total{labels}"] == 8
    assert weir.metrics()['weir_rule_action_failure_total{rule="out",action="redis"}'] == 9
    wait_for(lambda: weir.metrics()['weir_action_lag_records{rule="out",action="redis",log="out-1-redis"}'] == 0, what="no lag")
    assert weir.metrics()["weir_rule_topic_match_total{rule=\"out\"}"] == 9


def test_retries_that_are_bounded_end_in_the_error_action(make_weir, server):
    action = to_list(server, "${n}")
    action["redis"]["maximum_retry_attempts"] = 1
    weir = make_weir(config_for([action], error_action={"kinesis": {"stream_name": "sensors"}}))
    server.stop()
    publish(weir, ['{"n":1}'])
    report = json.loads(wait_for(lambda: weir.stream_records(), what="the report")[0]["data"])
    assert "maximum_retry_attempts is reached" in report["failures"][0]["errorMessage"]
    server.start()


def test_rules_that_come_and_go(make_weir, server):
    """A reload: a new action starts, one with other settings goes on where it was, one that is gone drains."""
    weir = make_weir(config_for([to_list(server, "one ${n}")]))
    server.stop()
    publish(weir, ['{"n":1}'])
    changed = to_list(server, "changed ${n}")
    changed["redis"]["maximum_record_age"] = "1h"
    weir.write_config(config_for([changed, to_list(server, "second ${n}")]))
    weir.signal(signal.SIGHUP)
    wait_for(lambda: weir.log().count("reloaded") == 1, what="the reload")
    publish(weir, ['{"n":2}'])
    server.start()
    wait_for(lambda: b"one 1" in server.client().lrange("seen", 0, -1), timeout_s=60, what="what waited")
    wait_for(lambda: {b"changed 2", b"second 2"} <= set(server.client().lrange("seen", 0, -1)), timeout_s=60, what="both")
    server.stop()
    publish(weir, ['{"n":3}'])
    weir.write_config(config_for([changed]))
    weir.signal(signal.SIGHUP)
    server.start()
    wait_for(lambda: {b"changed 3", b"second 3"} <= set(server.client().lrange("seen", 0, -1)), timeout_s=60, what="the drained one")
    wait_for(lambda: not os.path.exists(weir.path("data", "actions", "out-2-redis")), what="the log to go")
    assert weir.stop() == 0


def test_a_removed_action_keeps_what_it_could_not_deliver(make_weir, server):
    weir = make_weir(config_for([to_list(server, "${n}")]))
    server.stop()
    publish(weir, ['{"n":1}'])
    assert weir.stop() == 0
    weir.write_config(config_for([{"republish": {"topic": "elsewhere"}}]))
    weir.start()
    assert "out-1-redis: 1 messages wait for an action that no rule has any more" in weir.log()
    assert weir.stop() == 0
    weir.write_config(config_for([to_list(server, "${n}")]))
    server.start()
    weir.start()
    wait_for(lambda: server.client().lrange("seen", 0, -1) == [b"1"], timeout_s=60, what="what waited")


def test_a_full_log_refuses_publishers(make_weir, server):
    import paho.mqtt.client as mqtt
    action = to_list(server, "@{payload}")
    action["redis"]["backlog_size"] = "1MiB"
    weir = make_weir(config_for([action]))
    server.stop()
    ready = threading.Event()
    client = mqtt.Client(protocol=mqtt.MQTTv5)
    client.on_connect = lambda *_: ready.set()
    client.connect("127.0.0.1", weir.port())
    client.loop_start()
    assert ready.wait(20)
    sent = 0

    def is_refused():
        nonlocal sent
        client.publish("out/a", b"x" * 60000, 1).wait_for_publish(20)
        sent += 1
        return weir.metric("weir_stream_full")
    wait_for(is_refused, what="the bound")
    client.publish("out/a", b"refused", 1).wait_for_publish(20)
    wait_for(lambda: "action out-1-redis: no space left" in weir.log(), what="the refusal")
    server.start()
    wait_for(lambda: server.client().llen("seen") >= sent, timeout_s=60, what="what was kept")
    wait_for(lambda: not weir.metric("weir_stream_full"), what="room")
    client.publish("out/a", b"taken again", 1).wait_for_publish(20)
    wait_for(lambda: server.client().lrange("seen", -1, -1) == [b"taken again"], what="the last one")
    assert b"refused" not in server.client().lrange("seen", 0, -1)
    client.disconnect()
    client.loop_stop()


# ---- http ----

class Hook(http.server.ThreadingHTTPServer):
    """A web hook that keeps what it got, answers what it is told to, goes away and comes back on its port."""
    daemon_threads = True

    def __init__(self, port=0):
        hook = self
        self.requests, self.answers, self.lock, self.connections = [], [], threading.Lock(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hook.lock:
                    hook.requests.append((self.path, dict(self.headers), body))
                    status = hook.answers.pop(0) if hook.answers else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def get_request(self):
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def close(self):
        """Kept connections end too."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended

    def bodies(self):
        return [body for _, _, body in self.requests]


@pytest.fixture
def hook():
    instance = Hook()
    yield instance
    instance.close()


def test_http_posts_each_message_with_its_headers(make_weir, hook):
    action = {"http": {"url": hook.url("/in?a=b"), "headers": [{"key": "X-Static", "value": "one"},
                                                               {"key": "X-Kind", "value": "${kind}-${topic(2)}"}]}}
    weir = make_weir(config_for([action], select="SELECT n"))
    publish(weir, ['{"n":1,"kind":"k"}', '{"n":2,"kind":"x\\r\\nEvil: 1"}'])
    wait_for(lambda: len(hook.requests) == 2, what="two posts")
    assert hook.bodies() == [b'{"n":1}', b'{"n":2}']
    path, headers, _ = hook.requests[0]
    assert path == "/in?a=b" and headers["X-Static"] == "one" and headers["X-Kind"] == "k-a"
    assert headers["Content-Type"] == "application/json"
    assert hook.requests[1][1]["X-Kind"] == "x  Evil: 1-a" and "Evil" not in hook.requests[1][1]


def test_http_retries_what_passes_by_and_refuses_what_does_not(make_weir, hook):
    hook.answers = [500, 429, 200, 404, 200]
    weir = make_weir(config_for([{"http": {"url": hook.url("/x")}}], error_action={"kinesis": {"stream_name": "sensors"}}))
    publish(weir, ["1", "2", "3"])
    wait_for(lambda: len(hook.requests) == 5, what="all posts")
    assert hook.bodies() == [b"1", b"1", b"1", b"2", b"3"]
    report = json.loads(wait_for(lambda: weir.stream_records(), what="the report")[0]["data"])
    assert report["failures"] == [{"failedAction": "HttpAction", "failedResource": hook.url("/x"),
                                   "errorMessage": f"POST {hook.url('/x')}: answered with 404"}]
    assert base64.b64decode(report["base64OriginalPayload"]) == b"2"


def test_http_receiver_goes_away_and_weir_is_killed(make_weir, hook):
    weir = make_weir(config_for([{"http": {"url": hook.url("/x")}}]))
    publish(weir, [str(n) for n in range(20)])
    wait_for(lambda: len(hook.requests) == 20, what="the first")
    port, first = hook.port, hook.bodies()
    hook.close()
    publish(weir, [str(n) for n in range(20, 60)])
    weir.kill()
    weir.start()
    publish(weir, [str(n) for n in range(60, 80)])
    again = Hook(port)
    wait_for(lambda: {int(n) for n in first + again.bodies()} == set(range(80)), timeout_s=60, what="everything")
    fresh = [int(n) for n in again.bodies() if int(n) >= 20]
    assert fresh == list(range(20, 80))  # none of these had been taken: each once, in order
    again.close()


def test_http_batches(make_weir, hook):
    weir = make_weir(config_for([{"http": {"url": hook.url("/x"), "enable_batching": True,
                                           "batch_config": {"max_batch_size": 4, "max_batch_open_ms": 100}}}]))
    hook.answers = [503] * 3
    publish(weir, [f'{{"n":{n}}}' for n in range(40)] + ["no json"])
    publish(weir, ['{"n":"b"}'], topic="out/b")

    def taken():
        return [item for body in hook.bodies()[3:] for item in json.loads(body)]
    wait_for(lambda: len(taken()) >= 42, what="everything")
    assert [item["n"] for item in taken() if item != "no json" and item["n"] != "b"] == list(range(40))
    assert "no json" in taken() and {"n": "b"} in taken()
    assert all(len(json.loads(body)) <= 4 for body in hook.bodies())
    assert [{"n": "b"}] in [json.loads(body) for body in hook.bodies()]  # topics do not mix
    assert max(len(json.loads(body)) for body in hook.bodies()) == 4


def test_a_refused_batch_makes_one_report_of_its_messages(make_weir, hook):
    batch = {"enable_batching": True, "batch_config": {"max_batch_size": 3, "max_batch_open_ms": 200}}
    weir = make_weir(config_for([{"http": {"url": hook.url("/x"), **batch}}], error_action={"kinesis": {"stream_name": "sensors"}}))
    hook.answers = [404] * 10
    publish(weir, [f'{{"n":{n}}}' for n in range(4)])

    def reports():
        return [json.loads(record["data"]) for record in weir.stream_records()]
    wait_for(lambda: sum(len(report["payloadsWithMetadata"]) for report in reports()) == 4, what="four messages in reports")
    seen = []
    for report in reports():
        messages = report["payloadsWithMetadata"]
        assert (report["ruleName"], report["topic"]) == ("out", "out/a") and "base64OriginalPayload" not in report
        assert [message["id"] for message in messages] == list(range(1, len(messages) + 1))
        assert all(len(message["cloudwatchTraceId"]) == 36 and message["sourceIp"] == "127.0.0.1" for message in messages)
        assert report["failures"] == [{"affectedIds": [message["id"] for message in messages], "failedAction": "HttpAction",
                                       "failedResource": hook.url("/x"), "errorMessage": f"POST {hook.url('/x')}: answered with 404"}]
        seen += [json.loads(base64.b64decode(message["base64OriginalPayload"])) for message in messages]
    assert seen == [{"n": n} for n in range(4)] and [len(json.loads(body)) for body in hook.bodies()] == [
        len(report["payloadsWithMetadata"]) for report in reports()]
    assert weir.metrics()['weir_rule_action_failure_total{rule="out",action="http"}'] == 4
    assert weir.metrics()['weir_rule_http_code_4xx_total{rule="out",action="http"}'] == len(hook.requests)


def test_http_failures_are_counted_by_what_they_are(make_weir, hook):
    hook.answers = [500, 304, 200]
    action = {"url": hook.url("/${topic(2)}"), "confirmation_url": hook.url()}
    rules = {"code": {"sql": "SELECT * FROM 'code'", "actions": [{"http": {"url": hook.url("/x")}}]},
             "name": {"sql": "SELECT * FROM 'name'", "actions": [{"http": {"url": "http://no-such-host.invalid/"}}]},
             "url": {"sql": "SELECT * FROM 'url/#'", "actions": [{"http": action}]}}
    weir = make_weir(pipeline(functions=None, event_source_mappings=None, delivery_streams=None, buckets=None, rules=rules))
    publish(weir, ["1", "2"], topic="code")
    publish(weir, ["1"], topic="name")
    publish(weir, ["1"], topic="url/a b")
    expected = {"code_5xx": "code", "code_other": "code", "unknown_host": "name", "invalid_url": "url"}
    wait_for(lambda: all(weir.metrics()[f'weir_rule_http_{name}_total{{rule="{rule}",action="http"}}'] >= 1 for name, rule in expected.items()),
             what="the counters")
    assert weir.metrics()['weir_rule_http_code_4xx_total{rule="code",action="http"}'] == 0


def test_http_asks_for_confirmation_first(make_weir, hook):
    action = {"http": {"url": hook.url("/in/${topic(2)}"), "confirmation_url": hook.url("/in")}}
    weir = make_weir(config_for([action]))
    publish(weir, ["1", "2"])
    path, headers, body = wait_for(lambda: hook.requests and hook.requests[0], what="the request for confirmation")
    asked = json.loads(body)
    assert path == "/in/?confirmationToken=" + asked["confirmationToken"]
    assert headers["x-amz-rules-engine-message-type"] == asked["messageType"] == "DestinationConfirmation"
    assert headers["x-amz-rules-engine-destination-arn"] == asked["arn"]
    wait_for(lambda: "out-1-http: messages wait" in weir.log(), what="the messages to wait")
    assert len(hook.requests) == 1
    urllib.request.urlopen(asked["enableUrl"], timeout=10).read()
    wait_for(lambda: hook.bodies()[1:] == [b"1", b"2"], what="the messages")
    assert hook.requests[1][0] == "/in/a"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(weir.url("/confirmdestination/" + "0" * 64), timeout=10)
    assert weir.stop() == 0
    weir.start()  # it is remembered
    publish(weir, ["3"])
    wait_for(lambda: hook.bodies()[1:] == [b"1", b"2", b"3"], what="the third")


def test_http_requests_are_signed(make_weir, hook):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    sigv4 = {"signing_region": "eu-west-1", "service_name": "execute-api", "access_key_id": "AKID", "secret_access_key": "${env:HOOK_SECRET}"}
    weir = make_weir(config_for([{"http": {"url": hook.url("/a/b?z=1&a=2"), "auth": {"sigv4": sigv4}}}]), start=False)
    weir.start(HOOK_SECRET="sEcReT")
    publish(weir, ['{"n":1}'])
    path, headers, body = wait_for(lambda: hook.requests and hook.requests[0], what="the post")
    request = AWSRequest(method="POST", url=hook.url(path), data=body, headers={"Host": headers["Host"], "X-Amz-Date": headers["X-Amz-Date"]})
    auth = SigV4Auth(Credentials("AKID", "sEcReT"), "execute-api", "eu-west-1")
    request.context["timestamp"] = headers["X-Amz-Date"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert headers["Authorization"].endswith("Signature=" + signature)
    for folder, _, names in os.walk(weir.path("data", "actions")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert b"sEcReT" not in file.read(), name


# ---- lambda ----

FUNCTION = """
import http.client, json, os, sys
conn = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
while True:
    conn.request('GET', '/2018-06-01/runtime/invocation/next')
    answer = conn.getresponse()
    event, request_id = answer.read().decode(), answer.headers['Lambda-Runtime-Aws-Request-Id']
    with open(os.environ['OUT'], 'a') as file:
        file.write(event + chr(10))
    failed = 'bad' in json.loads(event)
    conn.request('POST', '/2018-06-01/runtime/invocation/' + request_id + ('/error' if failed else '/response'),
                 '{"errorType":"Bad","errorMessage":"m"}' if failed else 'null')
    conn.getresponse().read()
"""


def test_lambda_is_invoked_and_tried_twice_more(make_weir):
    weir = make_weir(config_for([{"lambda": {"function_arn": "arn:aws:lambda:us-east-1:000000000000:function:${f}"}}],
                                error_action={"kinesis": {"stream_name": "sensors"}}), start=False)
    out = weir.path("out")
    config = config_for([{"lambda": {"function_arn": "arn:aws:lambda:us-east-1:000000000000:function:work-${f}"}}],
                        error_action={"kinesis": {"stream_name": "sensors"}})
    config["functions"] = {"work-1": {"command": ["python3", "-c", FUNCTION], "environment": {"OUT": out}}}
    weir.write_config(config)
    weir.start()
    publish(weir, [json.dumps({"f": 1, "n": n}) for n in range(20)] + ['{"f":1,"bad":true}', '{"f":1,"n":20}'])

    def events():
        with open(out, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    report = json.loads(wait_for(lambda: weir.stream_records(), timeout_s=60, what="the report")[0]["data"])
    wait_for(lambda: {event.get("n") for event in events() if "n" in event} == set(range(21)), timeout_s=60, what="all events")
    assert sum("bad" in event for event in events()) == 3
    assert report["failures"][0]["failedAction"] == "LambdaAction" and "Bad" in report["failures"][0]["errorMessage"]
    assert json.loads(base64.b64decode(report["base64OriginalPayload"])) == {"f": 1, "bad": True}
    assert weir.stop() == 0


# ---- s3 ----

@pytest.fixture
def s3():
    instance = S3Server().start()
    yield instance
    instance.stop()


def test_s3_writes_an_object_per_message_through_an_outage(make_weir, s3):
    buckets = {"store": {"s3": {"endpoint": f"http://127.0.0.1:{s3.port}", "region": "us-east-1", "bucket": "archive",
                                "access_key_id": "S3RVER", "secret_access_key": "S3RVER", "path_style": True}}}
    config = config_for([{"s3": {"bucket_name": "store", "key": "raw/${topic(2)}/${n}.json", "canned_acl": "public-read",
                                "headers": [{"key": "Cache-Control", "value": "max-age=${n}"}, {"key": "x-amz-meta-device", "value": "${topic(2)}"},
                                            {"key": "x-amz-meta-none", "value": "${none}"}]}}], select="SELECT n")
    config["buckets"] = buckets
    weir = make_weir(config)
    publish(weir, [json.dumps({"n": n, "m": 1}) for n in range(30)])
    wait_for(lambda: len(s3.objects()) == 30, what="the first objects")
    s3.stop()
    publish(weir, [json.dumps({"n": n}) for n in range(30, 60)])
    weir.kill()
    weir.start()
    s3.start()
    wait_for(lambda: len(s3.objects()) == 60, timeout_s=60, what="everything")
    for key, answer in s3.objects().items():
        number = json.loads(answer["Body"].read())["n"]
        assert key == f"raw/a/{number}.json" and answer["ContentType"] == "application/json"
        assert answer["Metadata"] == {"device": "a"} and answer["CacheControl"] == f"max-age={number}"


def test_s3_directory_keeps_the_last_message_of_a_key_and_stays_inside(make_weir):
    config = config_for([{"s3": {"bucket_name": "files", "key": "${key}"}}], error_action={"kinesis": {"stream_name": "sensors"}})
    config["buckets"] = {"files": {"directory": "./files"}}
    weir = make_weir(config)
    publish(weir, ['{"key":"../../outside"}', '{"other":1}'] + [json.dumps({"key": "same/key", "n": n}) for n in range(50)])
    reports = wait_for(lambda: len(weir.stream_records()) == 2 and weir.stream_records(), what="two reports")
    assert [json.loads(report["data"])["failures"][0]["failedAction"] for report in reports] == ["S3Action"] * 2

    def last():
        with open(weir.path("files", "same", "key"), encoding="utf-8") as file:
            return json.load(file)["n"]
    wait_for(lambda: last() == 49, what="the last one")
    assert not os.path.exists(weir.path("..", "outside"))


def test_s3_bucket_must_exist(make_weir):
    config = config_for([{"s3": {"bucket_name": "nowhere", "key": "k"}}])
    weir = make_weir(config, start=False)
    result = subprocess.run([PROGRAM, "check", weir.config_path], capture_output=True, text=True, check=False)
    assert result.returncode != 0 and 'rule out: there is no bucket "nowhere"' in result.stderr
    assert result.stderr.split(":")[1].isdigit()


# ---- rules made while Weir runs ----

def test_rules_of_the_api_bring_their_actions(make_weir, hook):
    import boto3
    weir = make_weir(pipeline(functions=None, event_source_mappings=None, api={"bind": "127.0.0.1:0", "auth": "open"}))
    iot = boto3.client("iot", endpoint_url=f"http://127.0.0.1:{weir.port('api')}", region_name="us-east-1",
                       aws_access_key_id="a", aws_secret_access_key="b")

    def rule(path, **more):
        return {"sql": "SELECT n FROM 'out/#'", "awsIotSqlVersion": "2016-03-23",
                "actions": [{"http": {"url": hook.url(path), "confirmationUrl": hook.url(),
                                      "headers": [{"key": "X-N", "value": "${n}"}], **more}}]}
    iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": hook.url()}})
    asked = json.loads(wait_for(lambda: hook.requests and hook.requests.pop(), what="the request for confirmation")[2])
    iot.confirm_topic_rule_destination(confirmationToken=asked["confirmationToken"])
    iot.create_topic_rule(ruleName="made", topicRulePayload=rule("/one"))
    publish(weir, ['{"n":1}'])
    wait_for(lambda: [path for path, _, _ in hook.requests] == ["/one"], what="the first")
    assert hook.requests[0][1]["X-N"] == "1"
    assert iot.get_topic_rule(ruleName="made")["rule"]["actions"][0]["http"]["headers"] == [{"key": "X-N", "value": "${n}"}]
    iot.replace_topic_rule(ruleName="made", topicRulePayload=rule("/two"))
    publish(weir, ['{"n":2}'])
    weir.kill()
    weir.start()
    wait_for(lambda: hook.requests[-1][0] == "/two", what="the second")
    iot = boto3.client("iot", endpoint_url=f"http://127.0.0.1:{weir.port('api')}", region_name="us-east-1",
                       aws_access_key_id="a", aws_secret_access_key="b")
    for n in range(10):  # come and go quickly
        iot.delete_topic_rule(ruleName="made")
        iot.create_topic_rule(ruleName="made", topicRulePayload=rule(f"/n{n}"))
    publish(weir, ['{"n":3}'])
    wait_for(lambda: hook.requests[-1][0] == "/n9", what="the third")
    iot.delete_topic_rule(ruleName="made")
    wait_for(lambda: not os.path.exists(weir.path("data", "actions", "made-1-http")), what="the log to go")
    assert weir.stop() == 0


# ---- republish ----

def test_republished_messages_carry_headers(make_weir):
    import paho.mqtt.client as mqtt
    headers = {"payload_format_indicator": "UTF8_DATA", "content_type": "${type}", "response_topic": "answers/${topic(2)}",
               "correlation_data": base64.b64encode(b"\x00id").decode(), "message_expiry": "300",
               "user_properties": [{"key": "n", "value": "${n}"}, {"key": "n", "value": "again"}]}
    weir = make_weir(config_for([{"republish": {"topic": "copy", "qos": 1, "headers": headers}}]))
    got, ready = [], threading.Event()
    client = mqtt.Client(protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: got.append(message)
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda client, *_: client.subscribe("copy", 1)
    client.connect("127.0.0.1", weir.port())
    client.loop_start()
    assert ready.wait(20)
    publish(weir, ['{"type":"text/x","n":7}'])
    properties = wait_for(lambda: got and got[0], what="the message").properties
    client.disconnect()
    client.loop_stop()
    assert (properties.PayloadFormatIndicator, properties.ContentType, properties.ResponseTopic) == (1, "text/x", "answers/a")
    assert properties.CorrelationData == b"\x00id" and 0 < properties.MessageExpiryInterval <= 300
    assert properties.UserProperty == [("n", "7"), ("n", "again")]
