"""What stored sessions and retained messages keep over the end of the process: after SIGTERM and after kill -9."""
import socket
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from weir import wait_for

ENDINGS = pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])


def config(**settings):
    return {"workers": 2, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}], **settings}, "web": {"bind": "127.0.0.1:0"}}


def restart(weir, ending="SIGKILL"):
    if ending == "SIGTERM":
        assert weir.stop() == 0
    else:
        weir.kill()
    weir.start()


class Client:
    """A 5.0 client for one connection; its session is kept for `expiry_s`."""

    def __init__(self, weir, name, expiry_s=3600, clean=False, will=None):
        self.messages, self.present, self.granted, self.codes = [], [], [], []
        self.paho = mqtt.Client(name, protocol=mqtt.MQTTv5)
        self.paho.on_connect = lambda c, u, flags, code, *rest: self.present.append(flags["session present"])
        self.paho.on_message = lambda c, u, message: self.messages.append(message)
        self.paho.on_subscribe = lambda c, u, mid, codes, *rest: self.granted.append(codes)
        if will:
            topic, payload, delay_s = will
            properties = Properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = delay_s
            self.paho.will_set(topic, payload, 1, properties=properties)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry_s
        self.paho.connect("127.0.0.1", weir.port(), clean_start=clean, properties=properties)
        self.paho.loop_start()
        wait_for(lambda: self.present, what="CONNACK")

    def subscribe(self, *filters, qos=2):
        for topic_filter in filters:
            count = len(self.granted)
            self.paho.subscribe(topic_filter, qos)
            wait_for(lambda before=count: len(self.granted) > before, what="SUBACK")
        return self

    def publish(self, topic, payload, qos=1, retain=False, expiry_s=None):
        properties = Properties(PacketTypes.PUBLISH)
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        self.paho.publish(topic, payload, qos, retain, properties).wait_for_publish(20)

    def payloads(self):
        return [message.payload.decode() for message in self.messages]

    def expect(self, *payloads):
        wait_for(lambda: len(self.messages) >= len(payloads), what=f"{len(payloads)} messages")
        assert self.payloads() == list(payloads)

    def drop(self):
        """The network is gone."""
        self.paho.loop_stop()
        self.paho.socket().close()
        self.paho._sock = None  # noqa: SLF001: paho has no other way to lose a connection

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()


@ENDINGS
def test_what_waits_is_delivered_after_a_restart(make_weir, ending):
    weir = make_weir(config())
    names = [f"away{i}" for i in range(5)]  # On both workers.
    for name in names:
        Client(weir, name, clean=True).subscribe("a/#").close()
    publisher = Client(weir, "publisher", 0, clean=True)
    for i in range(20):
        publisher.publish(f"a/{i % 3}", str(i), 1 + i % 2)
    publisher.publish("a/large", "x" * 1500000, 1)  # Larger than a record of the log.
    for turn in range(2):  # What was there after the first start is there after the second.
        restart(weir, ending)
        assert weir.metric("weir_mqtt_stored_sessions") == 5, turn
    for name in names:
        client = Client(weir, name)
        assert client.present == [1]
        wait_for(lambda of=client: len(of.messages) >= 21, what="all messages")
        for qos in (1, 2):  # The order is kept among those of one QoS.
            assert [int(message.payload) for message in client.messages if message.qos == qos and len(message.payload) < 9] \
                == list(range(qos - 1, 20, 2))
        assert [message.payload for message in client.messages if message.topic == "a/large"] == [b"x" * 1500000]
        client.close()
    restart(weir, ending)
    again = Client(weir, names[0])
    Client(weir, "publisher", 0, clean=True).publish("a/b", "after", 2)
    again.expect("after")
    again.close()


def test_retained_messages_and_their_expiry(make_weir):
    weir = make_weir(config())
    publisher = Client(weir, "publisher", 0, clean=True)
    for i in range(100):
        publisher.publish(f"r/{i}", f"old {i}", retain=True)
        publisher.publish(f"r/{i}", f"new {i}" if i % 2 else "", retain=True)
    publisher.publish("r/short", "short", retain=True, expiry_s=1)
    publisher.publish("r/long", "long", retain=True, expiry_s=1000)
    written = time.time()
    restart(weir)
    wait_for(lambda: time.time() > written + 2.1, what="the expiry")
    reader = Client(weir, "reader", 0, clean=True).subscribe("r/#")
    wait_for(lambda: len(reader.messages) >= 51, what="retained messages")
    assert sorted(reader.payloads()) == sorted([f"new {i}" for i in range(1, 100, 2)] + ["long"])
    left_s = next(message for message in reader.messages if message.topic == "r/long").properties.MessageExpiryInterval
    assert left_s <= 998
    reader.close()


def test_sessions_end_and_wills_are_published_as_time_goes_on(make_weir):
    weir = make_weir(config())
    Client(weir, "watcher", clean=True).subscribe("w/#").close()
    Client(weir, "short", 1, clean=True).subscribe("x").close()
    dropped = time.time()
    Client(weir, "doomed", clean=True, will=("w/doomed", "doomed", 2)).drop()
    restart(weir)
    wait_for(lambda: time.time() > dropped + 1, what="the end of the short session")
    restart(weir)
    assert Client(weir, "short").present == [0]
    assert Client(weir, "doomed", will=None).present == [1] or time.time() > dropped + 2
    assert Client(weir, "watcher").present == [1]


def test_a_will_is_published_although_the_process_was_down_when_it_was_due(make_weir):
    weir = make_weir(config())
    Client(weir, "watcher", clean=True).subscribe("w/#").close()
    doomed = Client(weir, "doomed", clean=True, will=("w/doomed", "doomed", 1))
    doomed.drop()
    wait_for(lambda: weir.metric("weir_mqtt_connections") == 0, what="the connection to be gone")
    restart(weir)
    watcher = Client(weir, "watcher")
    wait_for(lambda: watcher.messages, what="the will")
    watcher.close()
    restart(weir)
    watcher = Client(weir, "watcher")
    Client(weir, "publisher", 0, clean=True).publish("w/next", "next")
    watcher.expect("next")  # The will does not come once more.


def test_a_share_keeps_what_its_members_left(make_weir):
    weir = make_weir(config())
    Client(weir, "one", clean=True).subscribe("$share/g/s").close()
    publisher = Client(weir, "publisher", 0, clean=True)
    for i in range(10):
        publisher.publish("s", str(i))
    restart(weir)
    Client(weir, "two", clean=True).subscribe("$share/g/s").close()
    restart(weir)
    two = Client(weir, "two")
    Client(weir, "one", 0, clean=True).close()  # Its session ends.
    wait_for(lambda: len(two.messages) >= 10, what="what the first member had")
    assert sorted(two.payloads()) == sorted(str(i) for i in range(10))
    two.close()


def publish_one_by_one(port, topic, count):
    """QoS 1 over 5.0; the reason of each PUBACK."""
    reasons = []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(bytes.fromhex("100e00044d5154540502003c0000") + b"\x01p")
        stream = connection.makefile("rb")
        assert stream.read(2)[0] == 0x20 and stream.read(16)
        for number in range(1, count + 1):
            body = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + b"\0" + str(number).encode()
            connection.sendall(b"\x32" + bytes([len(body)]) + body)
            head = stream.read(2)
            assert head[0] == 0x40
            reasons.append((stream.read(head[1]) + b"\0")[2])
    return reasons


def test_a_full_queue_refuses_on_whichever_worker_it_is(make_weir):
    weir = make_weir(config(queue_full="refuse", queue_max=20))
    for i in range(6):
        Client(weir, f"away{i}", clean=True).subscribe(f"q/{i}").close()
    accepted = []
    for i in range(6):
        reasons = publish_one_by_one(weir.port(), b"q/%d" % i, 40)
        assert set(reasons) == {0, 0x97}
        accepted.append([str(n + 1) for n, reason in enumerate(reasons) if reason == 0])
        assert len(accepted[i]) >= 20
    restart(weir)
    assert 0x97 in publish_one_by_one(weir.port(), b"q/0", 1)
    for i in range(6):
        client = Client(weir, f"away{i}")
        client.expect(*accepted[i])
        client.close()
    assert publish_one_by_one(weir.port(), b"q/0", 1) == [0]
