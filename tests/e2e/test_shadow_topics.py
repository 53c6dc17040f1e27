"""Shadows by MQTT topics: with paho, with AWS's own device SDK, beside boto3, in rules, with policies, and over the end of the process."""
import json
import os
import subprocess
import threading

import paho.mqtt.client as mqtt
import pytest

from test_broker import Client
from test_durable_sessions import Client as StoredClient
from test_policies import allow, password_hash  # noqa: F401: a fixture
from test_rule_api import client, data, refused, rule_config, to_stream
from test_things import shadow, update
from weir import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])


WAITING_MAX = 100  # of requests of one thing


class Device(Client):
    """Hears all that is told of one shadow."""

    def __init__(self, weir, version=mqtt.MQTTv311, thing="lamp", name=None, **more):
        super().__init__(weir, version, thing, **more)
        self.prefix = f"$aws/things/{thing}/shadow/" + (f"name/{name}/" if name else "")
        self.connected().subscribe(self.prefix + "+/+", qos=1)

    def ask(self, operation, payload=b"", qos=1):
        self.paho.publish(self.prefix + operation, json.dumps(payload) if isinstance(payload, dict) else payload, qos).wait_for_publish(20)

    def told(self):
        return [(message.topic[len(self.prefix):], json.loads(message.payload)) for message in self.messages]

    def expect(self, *topics):
        """What was told on these topics, which is all there is; then forgets it."""
        wait_for(lambda: len(self.messages) >= len(topics), what=f"{topics}, not {self.told()}")
        told = self.told()
        assert [topic for topic, _ in told] == list(topics)
        self.messages.clear()
        return [document for _, document in told]


def leaves(times):
    """The shape of metadata, without the times."""
    assert isinstance(times, dict)
    return "t" if isinstance(times.get("timestamp"), int) else {key: leaves(value) for key, value in times.items()}


@VERSIONS
@pytest.mark.parametrize("name", [None, "$main:1"], ids=["classic", "named"])
def test_the_way_of_a_change(make_weir, version, name):
    weir = make_weir(rule_config(workers=2))
    device = Device(weir, version, name=name)
    device.ask("get", {"clientToken": "one"})
    rejected, = device.expect("get/rejected")
    assert (rejected["code"], rejected["message"], rejected["clientToken"]) == (404, f"No shadow exists with name: '{name or 'lamp'}'", "one")
    assert isinstance(rejected["timestamp"], int)

    device.ask("update", {"state": {"desired": {"color": {"r": 1, "g": 2}, "on": True}}, "clientToken": "two"})
    accepted, documents, delta = device.expect("update/accepted", "update/documents", "update/delta")
    assert accepted.pop("timestamp") == documents["timestamp"] == delta.pop("timestamp")
    assert leaves(accepted.pop("metadata")) == {"desired": {"color": {"r": "t", "g": "t"}, "on": "t"}}
    assert accepted == {"state": {"desired": {"color": {"r": 1, "g": 2}, "on": True}}, "version": 1, "clientToken": "two"}
    assert documents["previous"] == {"state": {}, "metadata": {}, "version": 0}
    assert documents["current"]["state"] == accepted["state"] and documents["current"]["version"] == 1
    assert leaves(delta.pop("metadata")) == {"color": {"r": "t", "g": "t"}, "on": "t"}
    assert delta == {"state": {"color": {"r": 1, "g": 2}, "on": True}, "version": 1, "clientToken": "two"}

    device.ask("update", {"state": {"reported": {"color": {"r": 1, "g": 0}, "on": True}}, "version": 1}, qos=0)
    accepted, documents, delta = device.expect("update/accepted", "update/documents", "update/delta")
    assert "clientToken" not in accepted and set(accepted["state"]) == {"reported"}
    assert (documents["previous"]["version"], documents["current"]["version"]) == (1, 2)
    assert set(documents["previous"]["state"]) == {"desired"} and set(documents["current"]["state"]) == {"desired", "reported"}
    assert "delta" not in documents["current"]["metadata"]
    assert delta["state"] == {"color": {"g": 2}}

    device.ask("update", {"state": {"reported": {"color": {"g": 2}}}})
    device.expect("update/accepted", "update/documents")  # Nothing differs any more.
    device.ask("update", {"state": {"desired": None}, "clientToken": "three", "version": 2})
    rejected, = device.expect("update/rejected")
    assert (rejected["code"], rejected["message"], rejected["clientToken"]) == (409, "Version conflict", "three")
    device.ask("get")
    document, = device.expect("get/accepted")
    assert document["version"] == 3 and "delta" not in document["state"] and set(document["metadata"]) == {"desired", "reported"}
    device.ask("delete", {"clientToken": "four"})
    deleted, = device.expect("delete/accepted")
    assert (deleted["version"], deleted["clientToken"]) == (3, "four") and "timestamp" in deleted
    device.ask("delete")
    assert device.expect("delete/rejected")[0]["code"] == 404
    device.close()


def test_what_is_wrong_with_a_request_is_told(make_weir):
    device = Device(make_weir(rule_config()))
    for payload, code, message in [
            (b"", 400, "Invalid JSON"), (b"{}", 400, "Missing required node: state"), (b'{"state":[]}', 400, "State node must be an object"),
            (b'{"state":{"desired":1}}', 400, "Desired node must be an object"), (b'{"state":{"reported":1}}', 400, "Reported node must be an object"),
            (b'{"state":{},"version":-1}', 400, "Invalid version"), (b'{"state":{},"clientToken":"%s"}' % (b"x" * 65), 400, "Invalid clientToken"),
            (json.dumps({"state": {"desired": json.loads('{"a":' * 9 + "1" + "}" * 9)}}).encode(), 400,
             "JSON contains too many levels of nesting; maximum is 8"),
            (b'{"state":{"desired":{"a":"\xff"}}}', 415, "The document is not UTF-8"),
            (json.dumps({"state": {"desired": {"a": "x" * 8192}}}).encode(), 413, "The payload exceeds the maximum size allowed"),
            (b"x" * 100000, 413, "The payload exceeds the maximum size allowed")]:
        device.ask("update", payload)
        rejected, = device.expect("update/rejected")
        assert (rejected["code"], rejected["message"]) == (code, message)
    device.ask("get", b"no JSON")
    assert device.expect("get/rejected")[0]["message"] == "Invalid JSON"
    device.close()


def test_changes_by_http_are_told_on_the_topics(make_weir):
    weir = make_weir(rule_config(workers=2))
    iot = client(weir, "iot-data")
    device = Device(weir)
    update(iot, "lamp", {"desired": {"on": True}}, clientToken="h")
    accepted, documents, delta = device.expect("update/accepted", "update/documents", "update/delta")
    assert accepted["clientToken"] == documents["clientToken"] == delta["clientToken"] == "h"
    device.ask("update", {"state": {"reported": delta["state"]}})
    device.expect("update/accepted", "update/documents")
    assert refused(iot.update_thing_shadow, thingName="lamp", payload='{"state":{},"version":9}')[1] == 409  # and told nobody else
    assert "delta" not in shadow(iot.get_thing_shadow(thingName="lamp"))["state"]
    update(iot, "lamp", {"desired": {"on": False}}, name="other")  # another shadow
    iot.publish(topic="$aws/things/lamp/shadow/update", qos=1, payload='{"state":{"reported":{"by":"publish"}}}')
    assert device.expect("update/accepted", "update/documents")[0]["state"] == {"reported": {"by": "publish"}}
    iot.delete_thing_shadow(thingName="lamp")
    assert device.expect("delete/accepted")[0]["version"] == 3
    assert refused(iot.publish, topic="$aws/things/lamp/shadow/get/accepted", qos=1, payload="{}")[1] == 401
    device.close()


def test_an_answer_waits_for_all_that_was_asked_before(make_weir):
    weir = make_weir(rule_config(workers=2))
    device = Device(weir)
    for i in range(WAITING_MAX - 1):
        device.paho.publish("$aws/things/lamp/shadow/update", json.dumps({"state": {"reported": {"n": i}}, "version": i}), 1)
    device.paho.publish("$aws/things/lamp/shadow/get", "", 1)
    wait_for(lambda: device.messages and device.messages[-1].topic.endswith("/get/accepted"), what="the answer")
    told = device.told()
    assert told[-1][1]["version"] == WAITING_MAX - 1 and told[-1][1]["state"]["reported"] == {"n": WAITING_MAX - 2}
    assert [document["version"] for topic, document in told if topic == "update/accepted"] == list(range(1, WAITING_MAX))
    assert weir.metric("weir_things_shadow_commits_total") < weir.metric("weir_things_shadow_requests_total")
    device.close()


def test_a_thing_that_is_asked_too_much_keeps_no_other_waiting(make_weir):
    """A flood that does not end before the other thing is answered, although each of its requests costs milliseconds."""
    weir = make_weir(rule_config(workers=2))
    iot = client(weir, "iot-data")
    for first in range(0, 800, 200):  # members; a request may have 8 KB
        update(iot, "flooded", {"reported": {f"m{i}": 1 for i in range(first, first + 200)}})
    prefix, other = "$aws/things/flooded/shadow/update", Device(weir, thing="other")
    flooded = Client(weir).connected().subscribe([(f"{prefix}/accepted", 1), (f"{prefix}/rejected", 1)])
    sent, answered = 0, threading.Event()

    def flood():
        nonlocal sent
        while not answered.is_set():
            if sent - len(flooded.messages) < 1000:
                flooded.paho.publish(prefix, json.dumps({"state": {"reported": {"m1": sent}}, "clientToken": str(sent)}), 0)
                sent += 1

    def told(answer):
        return [json.loads(message.payload) for message in flooded.messages if message.topic == f"{prefix}/{answer}"]

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    try:
        wait_for(lambda: told("rejected"), what="429")
        other.ask("update", {"state": {"reported": {"n": 1}}})
        assert other.expect("update/accepted", "update/documents")[0]["state"] == {"reported": {"n": 1}}
    finally:
        answered.set()
        flooding.join(20)
    wait_for(lambda: len(flooded.messages) == sent, 60, what="an answer to each request")
    accepted, rejected = told("accepted"), told("rejected")
    assert {document["code"] for document in rejected} == {429}
    assert sorted(int(document["clientToken"]) for document in accepted + rejected) == list(range(sent))
    assert len(accepted) == shadow(iot.get_thing_shadow(thingName="flooded"))["version"] - 4
    assert weir.metric("weir_things_shadow_throttled_total") == len(rejected)
    flooded.close()
    other.close()


def test_rules_see_answers_and_change_shadows(make_weir):
    weir = make_weir(rule_config(workers=2))
    iot = client(weir)
    iot.create_topic_rule(ruleName="accepted", topicRulePayload=to_stream(
        "SELECT topic(3) AS thing, state.reported.n AS n, version FROM '$aws/things/+/shadow/update/accepted'"))
    iot.create_topic_rule(ruleName="toShadow", topicRulePayload={
        "sql": "SELECT * AS state.reported FROM 'reading/+'", "awsIotSqlVersion": "2016-03-23",
        "actions": [{"republish": {"topic": "$$aws/things/${topic(2)}/shadow/update", "qos": 1, "roleArn": "arn:aws:iam::000000000000:role/iot"}}]})
    device = Device(weir, thing="a1")
    device.paho.publish("reading/a1", '{"n": 1}', 1).wait_for_publish(20)
    device.paho.publish("reading/a1", '{"n": 2}', 1).wait_for_publish(20)
    device.expect(*["update/accepted", "update/documents"] * 2)
    wait_for(lambda: len(data(weir)) == 2, what="the rule's records")
    assert [json.loads(text) for text in data(weir)] == [{"thing": "a1", "n": n, "version": n} for n in (1, 2)]

    # A rule that answers each answer with a change comes to an end.
    iot.create_topic_rule(ruleName="loop", topicRulePayload={
        "sql": "SELECT version AS state.reported.n FROM '$aws/things/loop/shadow/update/accepted'", "awsIotSqlVersion": "2016-03-23",
        "actions": [{"republish": {"topic": "$$aws/things/loop/shadow/update", "qos": 1, "roleArn": "arn:aws:iam::000000000000:role/iot"}}]})
    device.paho.publish("$aws/things/loop/shadow/update", '{"state":{}}', 1).wait_for_publish(20)
    wait_for(lambda: weir.metrics()['weir_rule_action_failure_total{rule="loop",action="republish"}'] == 1, what="the end")
    assert shadow(client(weir, "iot-data").get_thing_shadow(thingName="loop"))["version"] == 5
    device.close()


@VERSIONS
def test_policies_count_and_answers_are_not_forged(make_weir, password_hash, version):  # noqa: F811
    own = "$aws/things/${iot:ClientId}/shadow"
    policy = {"statement": [allow("iot:Connect", "client/*"),
                            allow(["iot:Publish", "iot:RetainPublish"], f"topic/{own}/*"),
                            allow("iot:Subscribe", [f"topicfilter/{own}/*", "topicfilter/$aws/things/wide/#"]),
                            allow("iot:Receive", [f"topic/{own}/get/*", f"topic/{own}/update/accepted"])]}
    weir = make_weir({"workers": 2, "web": {"bind": "127.0.0.1:0"}, "mqtt": {
        "listeners": [{"bind": "127.0.0.1:0"}], "users": {"device": {"password_hash": password_hash, "policy": "p"}}, "policies": {"p": policy}}})

    def login(paho):
        paho.username_pw_set("device", "secret")

    device = Device(weir, version, "lamp", setup=login)
    device.ask("update", {"state": {"desired": {"a": 1}}})
    device.ask("get")
    device.expect("update/accepted", "get/accepted")  # documents and delta it may not receive
    device.close()
    for topic, retain in [("$aws/things/other/shadow/update", False), ("$aws/things/lamp/shadow/update/accepted", False),
                          ("$aws/things/lamp/shadow/other", False), ("$aws/things/lamp/shadow/update", True)]:
        lamp = Device(weir, version, "lamp", setup=login)
        lamp.paho.publish(topic, '{"state":{"desired":{"a":2}}}', 1, retain)
        if version == mqtt.MQTTv5 and not retain:
            wait_for(lambda client=lamp: client.pubacks, what="PUBACK")
        else:
            wait_for(lambda client=lamp: client.disconnects, what="the end of the connection")
        lamp.close()
    last = Device(weir, version, "lamp", setup=login)
    last.ask("get")
    assert last.expect("get/accepted")[0]["version"] == 1
    last.close()


def test_a_will_that_nobody_may_publish_is_refused_at_once(make_weir):
    """A request is a will as any other, as long as it is not retained."""
    weir = make_weir(rule_config())

    def connect(version, topic, retain):
        lamp = Client(weir, version, "bulb", setup=lambda paho: paho.will_set(f"$aws/things/lamp/shadow/{topic}", '{"state":{"reported":{"on":false}}}', 1, retain))
        wait_for(lambda: lamp.connects or lamp.disconnects, what="an answer")
        return lamp

    for topic, retain, reason in [("update/accepted", False, 0x87), ("update", True, 0x9A)]:
        lamp = connect(mqtt.MQTTv5, topic, retain)
        assert lamp.connects[0].value == reason
        lamp.close()
    lamp = connect(mqtt.MQTTv311, "update/accepted", True)
    assert lamp.connects[0] == 5
    lamp.close()
    assert 'client "bulb"' in weir.log() and 'a will to "$aws/things/lamp/shadow/update": nothing is retained on a reserved topic' in weir.log()
    assert 'a will to "$aws/things/lamp/shadow/update/accepted": the topic is reserved, and nobody may publish there' in weir.log()
    device = Device(weir)
    connect(mqtt.MQTTv5, "update", False).drop()
    assert device.expect("update/accepted", "update/documents")[0]["state"] == {"reported": {"on": False}}
    device.close()


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
def test_a_delta_waits_for_a_device_that_is_away(make_weir, ending):
    weir = make_weir(rule_config(workers=2))
    StoredClient(weir, "lamp", clean=True).subscribe("$aws/things/lamp/shadow/update/delta", qos=1).close()
    update(client(weir, "iot-data"), "lamp", {"desired": {"on": True}})
    delta = "weir_mqtt_messages_received_total"
    assert weir.metric(delta) == 0  # by nobody's PUBLISH
    if ending == "SIGTERM":
        assert weir.stop() == 0
    else:
        weir.kill()
    weir.start()
    device = StoredClient(weir, "lamp")
    wait_for(lambda: device.messages, what="the delta")
    assert {json.loads(payload)["version"] for payload in device.payloads()} == {1}
    device.close()


class SdkDevice:
    """shadow_device.mjs, and what it has told."""

    def __init__(self, weir, *arguments):
        self.told = []
        self.process = subprocess.Popen(["node", os.path.join(HERE, "shadow_device.mjs"), str(weir.port()), *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stdout:
            self.told.append(json.loads(line))

    def hear(self, event, count=1):
        wait_for(lambda: sum(each["event"] == event for each in self.told) >= count, 60, what=f"{count} of {event}, not {self.told}")
        return [each for each in self.told if each["event"] == event][count - 1]

    def ask(self, operation, **request):
        self.process.stdin.write(json.dumps([operation, request]) + "\n")
        self.process.stdin.flush()
        return self.hear(operation, 1 + sum(each["event"] == operation for each in self.told))

    def end(self):
        self.process.stdin.close()
        try:
            assert self.process.wait(60) == 0
        finally:
            self.process.kill()
            self.thread.join(20)


@pytest.mark.parametrize("name", [None, "main"], ids=["classic", "named"])
def test_a_device_with_aws_s_sdk(make_weir, name):
    weir = make_weir(rule_config(workers=2))
    iot = client(weir, "iot-data")
    device = SdkDevice(weir, "lamp", *([name] if name else []))
    begins = device.hear("begins")
    assert (begins["code"], begins["message"]) == (404, f"No shadow exists with name: '{name or 'lamp'}'")

    update(iot, "lamp", {"desired": {"color": "red", "on": True}}, name)
    assert device.hear("delta") == {"event": "delta", "state": {"color": "red", "on": True}, "version": 1}
    reported = device.hear("reported")
    assert (reported["version"], reported["state"]) == (2, {"reported": {"color": "red", "on": True}})
    assert device.hear("documents", 2) == {"event": "documents", "previous": 1, "current": 2}
    document = shadow(iot.get_thing_shadow(thingName="lamp", **({"shadowName": name} if name else {})))
    assert set(document["state"]) == {"desired", "reported"} and document["state"]["reported"] == document["state"]["desired"]

    assert device.ask("updateShadow", version=1, state={"reported": {"x": 1}})["code"] == 409
    update(iot, "lamp", {"desired": {"on": False}}, name)
    assert device.hear("reported", 2)["state"] == {"reported": {"on": False}}
    assert device.ask("getShadow")["state"] == {"desired": {"color": "red", "on": False}, "reported": {"color": "red", "on": False}}
    assert device.ask("deleteShadow")["version"] == 4
    assert device.ask("getShadow")["code"] == 404
    device.end()
    assert sum(each["event"] == "delta" for each in device.told) == 2
