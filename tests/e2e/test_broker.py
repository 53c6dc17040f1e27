"""The broker with clients written by others: paho (3.1.1 and 5.0), mosquitto's, over TCP, TLS and WebSocket."""
import subprocess
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from weir import PROGRAM, pipeline, wait_for


class Client:
    """A paho client whose doings can be waited for."""

    def __init__(self, weir, version=mqtt.MQTTv311, name="", port=None, transport="tcp", setup=None, **connect):
        self.messages, self.connects, self.disconnects = [], [], []
        self.subacks, self.pubacks = threading.Event(), []
        keywords = {"clean_session": True} if version != mqtt.MQTTv5 else {}
        self.paho = mqtt.Client(name, protocol=version, transport=transport, **keywords)
        if transport == "websockets":
            self.paho.ws_set_options("/mqtt")
            port = port or weir.port("web")
        self.paho.on_message = lambda c, u, message: self.messages.append(message)
        self.paho.on_connect = lambda c, u, flags, code, *rest: self.connects.append(code)
        self.paho.on_disconnect = lambda c, u, code, *rest: self.disconnects.append(code)
        self.paho.on_subscribe = lambda c, u, mid, codes, *rest: self.subacks.set()
        self.paho.on_publish = lambda c, u, mid: self.pubacks.append(mid)
        if setup:
            setup(self.paho)
        self.paho.connect("127.0.0.1", port or weir.port(), **connect)
        self.paho.loop_start()

    def connected(self):
        wait_for(lambda: self.connects, what="CONNACK")
        return self

    def subscribe(self, *arguments, **keywords):
        self.subacks.clear()
        self.paho.subscribe(*arguments, **keywords)
        assert self.subacks.wait(10)
        return self

    def payloads(self):
        return [message.payload.decode() for message in self.messages]

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def drop(self):
        """Ends the TCP connection without DISCONNECT."""
        self.paho._sock_close()
        self.paho.loop_stop()


@pytest.fixture
def broker(make_weir):
    return make_weir({"workers": 2, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]}, "web": {"bind": "127.0.0.1:0"}})


VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_publish_and_subscribe_in_order(broker, version, transport):
    subscriber = Client(broker, version, transport=transport).connected().subscribe("a/+/c", qos=1)
    publisher = Client(broker, version, transport=transport).connected()
    for i in range(500):
        publisher.paho.publish(f"a/{i % 7}/c", str(i), qos=i % 2)
    wait_for(lambda: len(subscriber.messages) == 500, what="all messages")
    for qos in (0, 1):
        assert [p for p in map(int, subscriber.payloads()) if p % 2 == qos] == list(range(qos, 500, 2))
    subscriber.close()
    publisher.close()


@VERSIONS
def test_clients_on_every_worker_hear_each_other(broker, version):
    subscribers = [Client(broker, version, f"s{i}").connected().subscribe("all/#", qos=1) for i in range(12)]
    publishers = [Client(broker, version, f"p{i}").connected() for i in range(6)]
    for publisher in publishers:
        for i in range(20):
            publisher.paho.publish(f"all/{i}", "x", qos=1)
    for subscriber in subscribers:
        wait_for(lambda s=subscriber: len(s.messages) == 120, what="120 messages")
    for client in subscribers + publishers:
        client.close()


@VERSIONS
def test_retained_messages(broker, version):
    publisher = Client(broker, version).connected()
    publisher.paho.publish("r/1", "one", qos=1, retain=True).wait_for_publish(10)
    publisher.paho.publish("r/2", "two", qos=1, retain=True).wait_for_publish(10)
    publisher.paho.publish("r/1", "new", qos=1, retain=True).wait_for_publish(10)
    publisher.paho.publish("r/2", "", qos=1, retain=True).wait_for_publish(10)
    for i in range(6):  # on both workers
        late = Client(broker, version, f"late{i}").connected().subscribe("r/#", qos=1)
        wait_for(lambda c=late: c.messages, what="the retained message")
        time.sleep(0.05)
        assert late.payloads() == ["new"] and late.messages[0].retain
        late.close()
    publisher.close()


@VERSIONS
def test_the_will_is_sent_when_a_client_vanishes_and_only_then(broker, version):
    watcher = Client(broker, version).connected().subscribe("will/#", qos=1)
    for name in ("polite", "rude"):
        client = Client(broker, version, name, setup=lambda p, n=name: p.will_set(f"will/{n}", n, qos=1)).connected()
        client.close() if name == "polite" else client.drop()
    wait_for(lambda: watcher.messages, what="the will")
    time.sleep(0.2)
    assert watcher.payloads() == ["rude"]
    watcher.close()


@VERSIONS
def test_a_second_connection_takes_the_client_id_over(broker, version):
    first = Client(broker, version, "same").connected()
    first.paho.reconnect_delay_set(60, 60)
    for _ in range(8):  # whichever worker it lands on
        second = Client(broker, version, "same").connected()
        second.paho.reconnect_delay_set(60, 60)
        wait_for(lambda c=first: c.disconnects, what="the first to be closed")
        assert not second.disconnects
        first.paho.loop_stop()
        first = second
    first.close()


def test_unsubscribe_stops_delivery(broker):
    client = Client(broker).connected().subscribe("u/#")
    client.paho.publish("u/1", "1")
    wait_for(lambda: client.payloads() == ["1"], what="the first")
    done = threading.Event()
    client.paho.on_unsubscribe = lambda *arguments: done.set()
    client.paho.unsubscribe("u/#")
    assert done.wait(10)
    client.paho.publish("u/2", "2", qos=1).wait_for_publish(10)
    time.sleep(0.2)
    assert client.payloads() == ["1"]
    client.close()


def test_properties_travel_with_the_message(broker):
    subscriber = Client(broker, mqtt.MQTTv5).connected()
    subscriber.subscribe("p/#", options=SubscribeOptions(qos=1))
    publisher = Client(broker, mqtt.MQTTv5).connected()
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "1"), ("b", "2"), ("a", "3")]
    properties.ContentType = "application/json"
    properties.ResponseTopic = "answer/here"
    properties.CorrelationData = b"\x00\x01"
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 100
    publisher.paho.publish("p/x", "{}", qos=1, properties=properties)
    wait_for(lambda: subscriber.messages, what="the message")
    seen = subscriber.messages[0].properties
    assert seen.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")]
    assert (seen.ContentType, seen.ResponseTopic, seen.CorrelationData) == ("application/json", "answer/here", b"\0\1")
    assert seen.PayloadFormatIndicator == 1 and 99 <= seen.MessageExpiryInterval <= 100
    subscriber.close()
    publisher.close()


def test_no_local_and_subscription_identifiers(broker):
    client = Client(broker, mqtt.MQTTv5).connected()
    properties = Properties(PacketTypes.SUBSCRIBE)
    properties.SubscriptionIdentifier = 77
    client.subscribe("n/#", options=SubscribeOptions(qos=1, noLocal=True), properties=properties)
    other = Client(broker, mqtt.MQTTv5).connected()
    client.paho.publish("n/own", "own", qos=1).wait_for_publish(10)
    other.paho.publish("n/other", "other", qos=1)
    wait_for(lambda: client.messages, what="the other's message")
    assert client.payloads() == ["other"]
    assert client.messages[0].properties.SubscriptionIdentifier == [77]
    client.close()
    other.close()


def make_certificates(directory):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=Test CA",
            "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "device"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={'localhost' if name == 'server' else 'dev1'}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-copy_extensions", "copy", "-out", f"{name}.pem")


def test_users_and_passwords_over_tls(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    password_hash = subprocess.run([PROGRAM, "passwd"], input="secret\n", capture_output=True, text=True, check=True).stdout.strip()
    weir.write_config(pipeline(mqtt={
        "listeners": [{"bind": "0.0.0.0:0", "tls": {"cert": "server.pem", "key": "server.key"}}],
        "users": {"gw": {"password_hash": password_hash}}}))
    weir.start()
    port = weir.port("mqtts")
    publish = ["mosquitto_pub", "-h", "localhost", "-p", str(port), "--cafile", weir.path("ca.pem"), "-t", "topic/sensors", "-m", "x", "-q", "1"]
    assert subprocess.run([*publish, "-u", "gw", "-P", "secret"], timeout=20).returncode == 0
    for wrong in (["-u", "gw", "-P", "Secret"], ["-u", "nobody", "-P", "secret"], []):
        assert subprocess.run([*publish, *wrong], timeout=20, capture_output=True).returncode != 0
    assert [record["data"] for record in weir.stream_records()] == ["x"]
    assert "secret" not in weir.log()


def test_client_certificates_can_be_required(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    weir.write_config(pipeline(mqtt={"listeners": [{
        "bind": "127.0.0.1:0",
        "tls": {"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem", "require_client_cert": True}}]}))
    weir.start()
    publish = ["mosquitto_pub", "-h", "localhost", "-p", str(weir.port("mqtts")), "--cafile", weir.path("ca.pem"),
               "-t", "topic/sensors", "-m", "x", "-q", "1"]
    device = ["--cert", weir.path("device.pem"), "--key", weir.path("device.key")]
    assert subprocess.run([*publish, *device], timeout=20).returncode == 0
    assert subprocess.run(publish, timeout=20, capture_output=True).returncode != 0


def test_basic_ingest_goes_to_the_rule_alone(weir):
    """AWS IoT Core: $aws/rules/NAME/TOPIC runs that rule, whatever its FROM says, and reaches no subscriber."""
    listener = Client(weir).connected().subscribe("#").subscribe("$aws/rules/#")
    publisher = Client(weir).connected()
    publisher.paho.publish("$aws/rules/sensorsKinesis/any/topic", "ingested", qos=1).wait_for_publish(10)
    publisher.paho.publish("seen", "seen", qos=1).wait_for_publish(10)
    wait_for(lambda: listener.messages, what="the other message")
    assert listener.payloads() == ["seen"]
    assert [record["data"] for record in weir.stream_records()] == ["ingested"]
    listener.close()
    publisher.close()
