"""Sessions, QoS 2 and shared subscriptions with paho, over both workers of a real Weir."""
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from weir import wait_for

VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])


@pytest.fixture
def broker(make_weir):
    return make_weir({"workers": 2, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]}, "web": {"bind": "127.0.0.1:0"}})


class Client:
    """A paho client with a session of its own: its state here outlives its connections, as a device's does."""

    def __init__(self, weir, version, name, expiry_s=0, will=None, transport="tcp"):
        self.weir, self.version, self.expiry_s = weir, version, expiry_s
        self.messages, self.present, self.granted = [], [], []
        keywords = {} if version == mqtt.MQTTv5 else {"clean_session": not expiry_s}
        self.paho = mqtt.Client(name, protocol=version, transport=transport, **keywords)
        self.port = weir.port("web" if transport == "websockets" else "mqtt")
        if transport == "websockets":
            self.paho.ws_set_options("/mqtt")
        self.paho.on_connect = lambda c, u, flags, code, *rest: self.present.append(flags["session present"])
        self.paho.on_message = lambda c, u, message: self.messages.append(message)
        self.paho.on_subscribe = lambda c, u, mid, codes, *rest: self.granted.append(codes)
        if will:
            self.paho.will_set(*will)

    def connect(self, clean=False):
        keywords = {}
        if self.version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = self.expiry_s
            keywords = {"clean_start": clean, "properties": properties}
        count = len(self.present)
        self.paho.connect("127.0.0.1", self.port, **keywords)
        self.paho.loop_start()
        wait_for(lambda: len(self.present) > count, what="CONNACK")
        return self

    def subscribe(self, topic_filter, qos):
        count = len(self.granted)
        self.paho.subscribe(topic_filter, qos)
        wait_for(lambda: len(self.granted) > count, what="SUBACK")
        return self

    def leave(self):
        """The network is gone: no DISCONNECT."""
        self.paho.loop_stop()
        if self.paho.socket():
            self.paho.socket().close()
        self.paho._sock = None  # noqa: SLF001: paho has no other way to lose a connection

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def publish(self, topic, payload, qos):
        self.paho.publish(topic, payload, qos).wait_for_publish(20)

    def payloads(self):
        return [message.payload.decode() for message in self.messages]


@VERSIONS
def test_qos_2_arrives_once_and_in_order(broker, version):
    subscriber = Client(broker, version, "subscriber").connect().subscribe("q/#", 2)
    publishers = [Client(broker, version, f"publisher{i}").connect() for i in range(2)]
    for i in range(300):
        for n, publisher in enumerate(publishers):
            publisher.paho.publish(f"q/{n}", str(i), 2)
    wait_for(lambda: len(subscriber.messages) == 600, what="all messages")
    time.sleep(0.2)
    for n in range(2):
        assert [m.payload.decode() for m in subscriber.messages if m.topic == f"q/{n}"] == [str(i) for i in range(300)]
    assert {m.qos for m in subscriber.messages} == {2}
    for client in publishers + [subscriber]:
        client.close()


@VERSIONS
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_messages_wait_for_the_client(broker, version, transport):
    subscriber = Client(broker, version, "subscriber", 60, transport=transport).connect().subscribe("w/#", 2)
    assert subscriber.present == [False]
    publisher = Client(broker, version, "publisher").connect()
    expected = []
    for round_number in range(8):  # it comes back on either worker
        subscriber.close()
        for i in range(50):
            publisher.publish("w/x", f"{round_number}-{i}", 1 + i % 2)
            expected.append(f"{round_number}-{i}")
        subscriber.connect()
        wait_for(lambda: len(subscriber.messages) >= len(expected), what="what waited")
        time.sleep(0.05)
    for qos in (1, 2):  # a QoS 2 message is complete only after two round trips, so those are compared apart
        assert [m.payload.decode() for m in subscriber.messages if m.qos == qos] == expected[qos - 1::2]
    assert subscriber.present == [False] + [True] * 8
    subscriber.close()
    publisher.close()


@VERSIONS
def test_nothing_is_lost_or_doubled_while_the_client_comes_and_goes(broker, version):
    """QoS 2 from two publishers; the subscriber loses its connection again and again in the middle of it."""
    subscriber = Client(broker, version, "subscriber", 60).connect().subscribe("c/#", 2)
    publishers = [Client(broker, version, f"publisher{i}").connect() for i in range(2)]
    count = 400

    def publish(number):
        for i in range(count):
            publishers[number].publish(f"c/{number}", str(i), 2)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        subscriber.leave()
        subscriber.connect()
    wait_for(lambda: len(subscriber.messages) >= 2 * count, what="all messages")
    time.sleep(0.2)
    for number in range(2):
        got = [m.payload.decode() for m in subscriber.messages if m.topic == f"c/{number}"]
        assert got == [str(i) for i in range(count)]
    for client in publishers + [subscriber]:
        client.close()


def test_sessions_end_when_they_expire(broker):
    client = Client(broker, mqtt.MQTTv5, "short", 1).connect().subscribe("e", 1)
    client.close()
    wait_for(lambda: broker.metric("weir_mqtt_stored_sessions_expired_total") == 1, what="the end of the session")
    client.connect()
    assert client.present == [False, False]
    client.close()


@VERSIONS
def test_shared_subscriptions_are_fair_over_workers(broker, version):
    members = [Client(broker, version, f"member{i}").connect().subscribe("$share/group/s/#", 1) for i in range(5)]
    publishers = [Client(broker, version, f"publisher{i}").connect() for i in range(4)]
    for i in range(100):
        for publisher in publishers:
            publisher.publish(f"s/{i % 3}", str(i), i % 2)
    wait_for(lambda: sum(len(m.messages) for m in members) == 400, what="all messages")
    time.sleep(0.2)
    shares = [len(member.messages) for member in members]
    assert sum(shares) == 400 and min(shares) >= 70, shares
    for client in members + publishers:
        client.close()


@VERSIONS
def test_a_share_loses_nothing_when_members_come_and_go(broker, version):
    stayer = Client(broker, version, "stayer").connect().subscribe("$share/group/g", 1)
    goers = [Client(broker, version, f"goer{i}").connect().subscribe("$share/group/g", 1) for i in range(2)]
    publisher = Client(broker, version, "publisher").connect()
    done = threading.Event()

    def publish():
        for i in range(600):
            publisher.publish("g", str(i), 1)
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    while not done.is_set():
        time.sleep(0.05)
        goers[0].leave()
        goers[0].connect(clean=True).subscribe("$share/group/g", 1)
    thread.join()
    everyone = [stayer] + goers
    wait_for(lambda: {p for m in everyone for p in m.payloads()} == {str(i) for i in range(600)}, what="every message")
    for client in everyone + [publisher]:
        client.close()


def test_a_will_waits_for_its_delay(broker):
    watcher = Client(broker, mqtt.MQTTv5, "watcher").connect().subscribe("will", 0)
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = 2
    client = Client(broker, mqtt.MQTTv5, "mortal", 60, will=("will", "gone", 0, False, properties)).connect()
    client.leave()
    client.connect()
    time.sleep(3.5)
    assert watcher.messages == []
    client.leave()
    wait_for(lambda: watcher.messages, timeout_s=8, what="the will")
    watcher.close()


def test_stopping_with_sessions_of_all_kinds(broker):
    """Connected and away, with messages waiting and in flight, in shares: SIGTERM still ends in order."""
    members = [Client(broker, mqtt.MQTTv5, f"member{i}", 60).connect().subscribe("$share/group/t/#", 2) for i in range(8)]
    for member in members[:4]:
        member.leave()
    away = [Client(broker, mqtt.MQTTv5, f"away{i}", 60).connect().subscribe("t/#", 1) for i in range(4)]
    for client in away:
        client.leave()
    publisher = Client(broker, mqtt.MQTTv5, "publisher", 60).connect()
    for i in range(50):
        publisher.publish("t/x", str(i), 1 + i % 2)
    for member in members[4:]:
        member.leave()
    publisher.publish("t/x", "last", 2)
    assert broker.stop() == 0
    publisher.paho.loop_stop()
