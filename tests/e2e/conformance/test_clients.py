"""Clients written by others: paho-mqtt, mosquitto_pub, mosquitto_sub and mosquitto_rr, MQTT.js."""
import json
import os
import queue
import subprocess

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from weir import ROOT, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}


def props(kind, **values):
    made = Properties(kind)
    for name, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            setattr(made, name, item)
    return made


class Paho:
    """A paho client with its messages in a queue."""

    def __init__(self, broker, version, name=None, clean=True, setup=None, keepalive=60, **connect_props):
        v5 = version == 5
        self.paho = mqtt.Client(name or broker.name("paho"), protocol=VERSIONS[version], **({} if v5 else {"clean_session": clean}))
        self.heard, self.acknowledged, self.closed = queue.Queue(), queue.Queue(), queue.Queue()
        self.connack = None
        self.paho.on_message = lambda c, u, message: self.heard.put(message)
        self.paho.on_connect = lambda c, u, flags, code, *rest: setattr(self, "connack", (flags, code, rest))
        self.paho.on_subscribe = lambda c, u, mid, codes, *rest: self.acknowledged.put([int(getattr(c, "value", c)) for c in codes])
        self.paho.on_unsubscribe = lambda c, u, mid, *rest: self.acknowledged.put(mid)
        self.paho.on_disconnect = lambda c, u, code, *rest: self.closed.put(code)
        if setup:
            setup(self.paho)
        more = {"clean_start": clean, "properties": props(PacketTypes.CONNECT, **connect_props)} if v5 else {}
        self.paho.connect("127.0.0.1", broker.port, keepalive, **more)
        self.paho.loop_start()
        wait_for(lambda: self.connack, what="CONNACK")

    def subscribe(self, *arguments, **keywords):
        self.paho.subscribe(*arguments, **keywords)
        return self.acknowledged.get(timeout=20)

    def publish(self, topic, payload, qos=0, retain=False, **values):
        more = {"properties": props(PacketTypes.PUBLISH, **values)} if values else {}
        self.paho.publish(topic, payload, qos, retain, **more).wait_for_publish(20)

    def message(self):
        return self.heard.get(timeout=20)

    def payloads(self, count):
        return [self.message().payload.decode() for _ in range(count)]

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def drop(self):
        self.paho._sock_close()
        self.paho.loop_stop()


@pytest.fixture
def paho(broker):
    made = []

    def make(*arguments, **keywords):
        made.append(Paho(broker, *arguments, **keywords))
        return made[-1]
    yield make
    for client in made:
        client.close()


ALL = pytest.mark.parametrize("version", [3, 4, 5], ids=["3.1", "3.1.1", "5.0"])


@ALL
def test_paho_basics(broker, paho, version):
    topic = broker.name("t")
    client = paho(version)
    assert client.subscribe(topic, 2) == [2]
    for qos in (0, 1, 2):
        client.publish(topic, f"{qos}", qos)
    assert sorted((item.payload, item.qos) for item in (client.message() for _ in range(3))) == [(b"0", 0), (b"1", 1), (b"2", 2)]
    client.paho.unsubscribe(topic)
    client.acknowledged.get(timeout=20)
    client.publish(topic, "not this", 1)
    client.subscribe(topic, 0)
    client.publish(topic, "this")
    assert client.payloads(1) == ["this"]


@ALL
def test_paho_retained_and_will(broker, paho, version):
    base = broker.name("r")
    publisher = paho(version)
    for qos in (0, 1, 2):
        publisher.publish(f"{base}/{qos}", f"{qos}", qos, retain=True)
    watcher = paho(version)
    watcher.subscribe(base + "/+", 2)
    assert sorted((item.payload, item.qos, item.retain) for item in (watcher.message() for _ in range(3))) == [
        (b"0", 0, True), (b"1", 1, True), (b"2", 2, True)]
    paho(version, setup=lambda p: p.will_set(base + "/will", "w", 2)).drop()
    assert watcher.payloads(1) == ["w"]
    for qos in (0, 1, 2):
        publisher.publish(f"{base}/{qos}", "", 1, retain=True)
    late = paho(version)
    late.subscribe(base + "/+", 2)
    publisher.publish(base + "/end", "end", 1)
    assert late.payloads(1) == ["end"]


@ALL
def test_paho_offline_and_redelivery(broker, paho, version):
    name, topic = broker.name("p"), broker.name("t")
    keep = {"SessionExpiryInterval": 99999} if version == 5 else {}
    first = paho(version, name, clean=False, **keep)
    first.subscribe(topic + "/#", 2)
    first.close()
    publisher = paho(version)
    for i in range(30):
        publisher.publish(f"{topic}/{i}", f"{i}", 1 + i % 2)
    again = paho(version, name, clean=False, **keep)
    heard = [int(payload) for payload in again.payloads(30)]  # paho hands QoS 2 on when it is released
    assert [i for i in heard if i % 2] == list(range(1, 30, 2)) and [i for i in heard if i % 2 == 0] == list(range(0, 30, 2))
    flags = again.connack[0]
    assert version == 3 or flags["session present"] == 1


def test_paho_properties(broker, paho):
    topic = broker.name("t")
    client = paho(5)
    assert client.subscribe(topic, options=SubscribeOptions(2), properties=props(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=456789)) == [2]
    for qos in (0, 1, 2):
        client.publish(topic, "x", qos, UserProperty=[("a", "2"), ("c", "3"), ("a", "1")], PayloadFormatIndicator=1, ContentType="My name",
                       ResponseTopic=topic, CorrelationData=b"334", MessageExpiryInterval=100)
    for _ in range(3):
        heard = client.message().properties
        assert heard.UserProperty == [("a", "2"), ("c", "3"), ("a", "1")] and heard.SubscriptionIdentifier == [456789]
        assert (heard.PayloadFormatIndicator, heard.ContentType, heard.ResponseTopic, heard.CorrelationData) == (1, "My name", topic, b"334")
        assert heard.MessageExpiryInterval <= 100


def test_paho_subscribe_options(broker, paho):
    topic = broker.name("t")
    own, other = paho(5), paho(5)
    own.publish(topic, "kept", 1, retain=True)
    own.subscribe(topic, options=SubscribeOptions(2, noLocal=True, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))
    other.subscribe(topic, options=SubscribeOptions(2, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB))
    own.publish(topic, "own", 1)
    other.publish(topic, "other", 1, retain=True)
    assert [(item.payload, item.retain) for item in (other.message() for _ in range(3))] == [(b"kept", True), (b"own", False), (b"other", True)]
    heard = own.message()
    assert (heard.payload, heard.retain) == (b"other", True)


def test_paho_shared_subscriptions(broker, paho):
    topic = broker.name("t")
    members = [paho(5) for _ in range(3)]
    for member in members:
        member.subscribe(f"$share/g/{topic}", 2)
    publisher = paho(5)
    for i in range(30):
        publisher.publish(topic, f"{i}", 1 + i % 2)
    wait_for(lambda: sum(member.heard.qsize() for member in members) >= 30, what="all messages")
    heard = [int(payload) for member in members for payload in member.payloads(member.heard.qsize())]
    assert sorted(heard) == list(range(30))


def test_paho_assigned_identifier_and_server_keep_alive(broker, paho):
    client = paho(5, setup=lambda p: setattr(p, "_client_id", b""), keepalive=120)
    heard = client.connack[2][0]
    assert heard.AssignedClientIdentifier and heard.ServerKeepAlive == 60


# ---- mosquitto ----

def mosquitto(broker, program, *arguments, stdin=None, wait=True):
    command = [f"mosquitto_{program}", "-h", "127.0.0.1", "-p", str(broker.port), *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE if stdin else None, stdout=subprocess.PIPE, text=True)
    if not wait:
        return process
    output, _ = process.communicate(stdin, timeout=60)
    assert process.returncode == 0, command
    return output


@pytest.mark.parametrize("version", ["31", "311", "5"])
def test_mosquitto_pub_and_sub(broker, version):
    topic = broker.name("t")
    mosquitto(broker, "pub", "-V", version, "-t", topic, "-q", "2", "-r", "-m", "retained")
    reader = mosquitto(broker, "sub", "-V", version, "-t", topic, "-q", "2", "-C", "11", "-F", "%r %q %p", wait=False)
    assert reader.stdout.readline() == "1 2 retained\n"
    mosquitto(broker, "pub", "-V", version, "-t", topic, "-q", "1", "-l", stdin="".join(f"{i}\n" for i in range(10)))
    assert reader.communicate(timeout=60)[0].split("\n")[:-1] == [f"0 1 {i}" for i in range(10)]


@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquitto_rr(broker, version):
    """A request, and somebody who answers it."""
    request, response = broker.name("request"), broker.name("response")
    level = 5 if version == "5" else 4
    responder = broker.subscriber(level, request, qos=1)
    asker = mosquitto(broker, "rr", "-V", version, "-t", request, "-e", response, "-m", "question", wait=False)
    heard = responder.message()
    assert heard.payload == b"question"
    assert heard.props.get("response_topic", response) == response
    correlation = {name: value for name, value in heard.props.items() if name == "correlation_data"}
    responder.publish(response, "answer", 1, **({"props": correlation} if level == 5 else {}))
    assert asker.communicate(timeout=60)[0] == "answer\n"


# ---- MQTT.js ----

@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("transport", ["mqtt", "ws"])
def test_mqtt_js(broker, transport, version):
    url = f"mqtt://127.0.0.1:{broker.port}" if transport == "mqtt" else broker.weir.url("/mqtt").replace("http", "ws", 1)
    run = subprocess.run(["node", os.path.join(HERE, "mqttjs_client.mjs"), os.path.join(ROOT, "web", "node_modules", "mqtt"), url, version],
                         capture_output=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr.decode()
    result = json.loads(run.stdout)
    assert result["granted"] == [2]
    live, (kept,) = ([item for item in result["live"] if (item[0] == "/kept") == is_kept] for is_kept in (False, True))
    for qos in (0, 1, 2):  # QoS 2 is handed on when it is released
        assert [int(item[1]) for item in live if item[2] == qos] == list(range(qos, 12, 3))
    assert kept[:4] == ["/kept", "kept", 1, version == "5"]
    if version == "5":
        assert kept[4]["contentType"] == "text/plain" and kept[4]["userProperties"] == {"a": ["1", "2"], "b": "3"}
    assert [item[:4] for item in result["kept"]] == [["/kept", "kept", 0, True]]
    assert [item[1] for item in result["will"]] == ["w"]
    assert (result["present"], [item[1] for item in result["queued"]]) == (True, ["queued"])
