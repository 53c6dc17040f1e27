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
import time

import pytest

from test_redis import RedisServer
from weir import pipeline, wait_for


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
    assert "actions" in os.listdir(weir.path("data")) and "out-1-redis" not in subprocess.run(
        [os.path.join(os.environ["WEIR_BUILD"] if "WEIR_BUILD" in os.environ else "build/release", "weir"), "stream", "ls",
         "--data", weir.path("data")], capture_output=True, text=True, check=True).stdout
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
    wait_for(lambda: os.path.isdir(weir.path("data", "actions", "out-2-redis")), what="the new log")
    wait_for(lambda: publish(weir, ['{"n":2}']) or "second" in str(os.stat(weir.path("data", "actions", "out-2-redis"))) or True)
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
