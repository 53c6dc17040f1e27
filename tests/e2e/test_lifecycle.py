"""Lifecycle events and $SYS with paho, over both workers of a real Weir, and through a rule."""
import json
import re

import paho.mqtt.client as mqtt
import pytest

from test_sessions import Client
from weir import SANITIZED, wait_for


def config(**changes):
    return {
        "data": "./data",
        "workers": 2,
        "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}], **changes},
        "web": {"bind": "127.0.0.1:0"},
        "streams": {"events": {"shard_count": 1}},
        "rules": {
            "presence": {
                "sql": "SELECT clientId, eventType, disconnectReason FROM '$aws/events/presence/#'",
                "sql_version": "2016-03-23",
                "actions": [{"kinesis": {"stream_name": "events", "partition_key": "${clientId}"}}],
            }
        },
    }


@pytest.fixture
def broker(make_weir):
    return make_weir(config())


def events(watcher, kind, client_id):
    return [json.loads(m.payload) for m in watcher.messages if m.topic == f"$aws/events/{kind}/{client_id}"]


def event(watcher, kind, client_id, number=0):
    return wait_for(lambda: events(watcher, kind, client_id)[number:], what=f"{kind} of {client_id}")[0]


def test_presence_as_aws_iot_tells_it(broker):
    watcher = Client(broker, mqtt.MQTTv5, "watcher").connect().subscribe("$aws/events/#", 1)
    sessions = set()
    for number in range(4):  # on either worker
        device = Client(broker, mqtt.MQTTv311, "device").connect()
        connected = event(watcher, "presence/connected", "device", number)
        assert list(connected) == ["clientId", "timestamp", "eventType", "sessionIdentifier", "principalIdentifier",
                                   "ipAddress", "versionNumber"]
        assert connected["clientId"] == "device" and connected["eventType"] == "connected"
        assert connected["ipAddress"] == "127.0.0.1" and connected["versionNumber"] == number
        assert re.fullmatch("[0-9a-f]{32}", connected["sessionIdentifier"]) and connected["timestamp"] > 1.7e12
        sessions.add(connected["sessionIdentifier"])
        if number % 2:
            device.close()
        else:
            device.leave()
        gone = event(watcher, "presence/disconnected", "device", number)
        assert list(gone) == ["clientId", "timestamp", "eventType", "sessionIdentifier", "principalIdentifier",
                              "clientInitiatedDisconnect", "disconnectReason", "versionNumber"]
        assert gone["clientInitiatedDisconnect"] is bool(number % 2)
        assert gone["disconnectReason"] == ("CLIENT_INITIATED_DISCONNECT" if number % 2 else "CONNECTION_LOST")
        assert (gone["versionNumber"], gone["sessionIdentifier"]) == (number, connected["sessionIdentifier"])
    assert len(sessions) == 4
    watcher.close()


def test_subscriptions_and_a_second_client_of_the_same_id(broker):
    watcher = Client(broker, mqtt.MQTTv5, "watcher").connect().subscribe("$aws/events/#", 1)
    device = Client(broker, mqtt.MQTTv5, "device").connect()
    device.paho.subscribe([("a/b", 1), ("c/#", 0)])
    device.paho.unsubscribe("a/b")
    assert event(watcher, "subscriptions/subscribed", "device")["topics"] == ["a/b", "c/#"]
    gone = event(watcher, "subscriptions/unsubscribed", "device")
    assert list(gone) == ["clientId", "timestamp", "eventType", "sessionIdentifier", "principalIdentifier", "topics"]
    assert gone["topics"] == ["a/b"] and gone["eventType"] == "unsubscribed"
    device.paho.on_disconnect = lambda *rest: device.paho.disconnect()  # does not come back
    other = Client(broker, mqtt.MQTTv5, "device").connect()
    assert event(watcher, "presence/disconnected", "device")["disconnectReason"] == "DUPLICATE_CLIENTID"
    for client in (device, other, watcher):
        client.close()


def test_events_go_through_rules(broker):
    Client(broker, mqtt.MQTTv311, "device").connect().close()
    records = wait_for(lambda: len(found := broker.stream_records("events")) == 2 and found, what="two records")
    assert [json.loads(record["data"]) for record in records] == [
        {"clientId": "device", "eventType": "connected"},
        {"clientId": "device", "eventType": "disconnected", "disconnectReason": "CLIENT_INITIATED_DISCONNECT"}]


def test_nobody_is_told_when_they_are_off(make_weir):
    broker = make_weir(config(lifecycle_events=False))
    watcher = Client(broker, mqtt.MQTTv5, "watcher").connect().subscribe("$aws/events/#", 1)
    device = Client(broker, mqtt.MQTTv5, "device").connect()
    device.publish("x", "y", 1)
    device.close()
    watcher.subscribe("end", 1).publish("end", "", 1)
    wait_for(lambda: watcher.messages, what="the last message")
    assert [m.topic for m in watcher.messages] == ["end"]
    assert broker.stream_records("events") == []
    watcher.close()


def test_sys_tells_the_state_as_mosquitto_does(make_weir):
    broker = make_weir(config(sys_interval="1s"))
    watcher = Client(broker, mqtt.MQTTv5, "watcher").connect().subscribe("$SYS/#", 0)
    loads = {f"$SYS/broker/load/{what}/{span}min" for span in (1, 5, 15)
             for what in ("messages/received", "bytes/sent", "connections", "publish/dropped")}
    first = wait_for(lambda: loads <= {m.topic for m in watcher.messages} and len(watcher.messages) > 40 and list(watcher.messages),
                     what="the whole state")
    values = {m.topic: m.payload.decode() for m in first}
    assert all(m.retain for m in first[:40])
    assert values["$SYS/broker/version"].startswith("weir version ")
    assert re.fullmatch(r"\d+ seconds", values["$SYS/broker/uptime"])
    assert values["$SYS/broker/clients/connected"] == "1"
    assert int(values["$SYS/broker/heap/current"]) > 100000 or SANITIZED  # which has a heap of its own

    def newest(topic):
        return [m.payload.decode() for m in watcher.messages if m.topic == f"$SYS/broker/{topic}"][-1]

    device = Client(broker, mqtt.MQTTv311, "device", 60).connect()
    device.paho.publish("kept", "x", 1, retain=True).wait_for_publish(20)
    wait_for(lambda: newest("clients/connected") == "2", what="two clients")
    wait_for(lambda: newest("retained messages/count") == "1", what="a retained message")
    wait_for(lambda: newest("publish/messages/received") == "1", what="a message received")
    wait_for(lambda: float(newest("load/publish/received/1min")) > 0, what="a load")
    device.close()
    wait_for(lambda: (newest("clients/connected"), newest("clients/disconnected"), newest("clients/total"),
                      newest("clients/maximum")) == ("1", "1", "2", "2"), what="one client and a session")
    assert int(newest("bytes/sent")) > 1000
    watcher.close()
