"""PUBLISH and its answers (sections 3.3 to 3.7, 4.3 to 4.6, 4.9): both ways, all qualities of service."""
import time

import pytest

from packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, publish


@pytest.mark.parametrize("granted", [0, 1, 2])
def test_the_lower_quality_of_service_counts(broker, version, granted):
    """[MQTT-3.8.4-8] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT-2.2.1-2], 3.1.1 [MQTT-3.8.4-6]."""
    topic = broker.name("t")
    subscriber, publisher = broker.subscriber(version, topic, qos=granted), broker.client(version)
    for qos in (0, 1, 2):
        publisher.publish(topic, f"{qos}", qos)
        heard = subscriber.message()
        assert (heard.topic, heard.payload, heard.qos, heard.dup, heard.retain) == (topic, b"%d" % qos, min(qos, granted), False, False)
        assert heard.packet_id is None or heard.packet_id > 0  # [MQTT-2.2.1-4]


def test_each_message_is_answered_by_its_identifier(broker, version):
    """[MQTT-2.2.1-5] [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]; any identifier will do."""
    client = broker.client(version)
    for packet_id in (1, 255, 256, 32768, 65535):
        client.send(publish(version, "nobody", "x", 1, packet_id))
        assert client.expect(PUBACK).packet_id == packet_id
        client.send(publish(version, "nobody", "x", 2, packet_id))
        assert client.expect(PUBREC).packet_id == packet_id
        client.send(ack(PUBREL, packet_id))
        assert client.expect(PUBCOMP).packet_id == packet_id


def test_dup_is_not_passed_on(broker, version):
    """[MQTT-3.3.1-1] [MQTT-3.3.1-3]."""
    topic = broker.name("t")
    subscriber, publisher = broker.subscriber(version, topic), broker.client(version)
    publisher.publish(topic, "1", 1, dup=True)
    publisher.publish(topic, "2", 2, dup=True)
    assert [item.dup for item in subscriber.messages(2)] == [False, False]


def test_after_puback_an_identifier_is_new(broker, version):
    """[MQTT-4.3.2-5]: whatever DUP says."""
    topic = broker.name("t")
    subscriber, publisher = broker.subscriber(version, topic), broker.client(version)
    for payload, dup in (("1", False), ("2", True)):
        publisher.send(publish(version, topic, payload, 1, 7, dup=dup))
        publisher.expect(PUBACK)
    assert subscriber.payloads(2) == ["1", "2"]


def test_a_message_of_qos_2_comes_once(broker, version):
    """[MQTT-4.3.3-10] [MQTT-4.3.3-12]: until PUBREL it is the same one, and then a new one."""
    topic = broker.name("t")
    subscriber, publisher = broker.subscriber(version, topic), broker.client(version)
    for payload, dup in (("1", False), ("again", True), ("again", False)):
        publisher.send(publish(version, topic, payload, 2, 7, dup=dup))
        assert publisher.expect(PUBREC).code == 0
    publisher.send(ack(PUBREL, 7), ack(PUBREL, 7), publish(version, topic, "2", 2, 7))
    first, second, third = (publisher.receive() for _ in range(3))
    assert (first.type, first.code, second.type, third.type) == (PUBCOMP, 0, PUBCOMP, PUBREC)
    assert second.code == (0x92 if version == 5 else 0)
    assert subscriber.payloads(2) == ["1", "2"]


def test_unknown_identifiers(broker, version):
    """Sections 3.5.2.1, 3.6.2.1: PUBREC and PUBREL are answered, PUBACK and PUBCOMP are nothing."""
    client = broker.client(version)
    client.send(ack(PUBACK, 5), ack(PUBCOMP, 5), ack(PUBREC, 5), ack(PUBREL, 5))
    found = client.ping()
    code = 0x92 if version == 5 else 0
    assert [(item.type, item.packet_id, item.code) for item in found] == [(PUBREL, 5, code), (PUBCOMP, 5, code)]


def test_answers_may_have_reasons_and_properties(broker):
    """[MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]; an omitted length means none."""
    topic = broker.name("t")
    client = broker.subscriber(5, topic)
    props = {"reason_string": "so", "user": [("k", "v"), ("k", "w")]}
    for tail in ((), (0,), (0, {}), (0, props)):
        client.send(publish(5, topic, "1", 1, 1))
        message = client.expect(PUBLISH) if (first := client.receive()).type == PUBACK else first
        if first.type == PUBLISH:
            client.expect(PUBACK)
        client.send(ack(PUBACK, message.packet_id, *tail))
        broker.client(5).publish(topic, "2", 2)
        message = client.expect(PUBLISH)
        client.send(ack(PUBREC, message.packet_id, *tail))
        client.expect(PUBREL)
        client.send(ack(PUBCOMP, message.packet_id, *tail))
        client.send(publish(5, "nobody", "3", 2, 3))
        client.expect(PUBREC)
        client.send(ack(PUBREL, 3, *tail))
        assert client.expect(PUBCOMP).code == 0
    assert client.ping() == []


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
def test_a_refused_message_is_done_with(broker, code):
    """[MQTT-4.4.0-2] [MQTT-4.3.3-4]: no PUBREL, no repetition, and the quota is free again."""
    name, topic = broker.name(), broker.name("t")
    options = {"props": {"session_expiry": 60, "receive_maximum": 1}, "clean": False}
    client = broker.subscriber(5, topic, client_id=name, **options)
    publisher = broker.client(5)
    for qos, kind in ((1, PUBACK), (2, PUBREC)):
        publisher.publish(topic, "refused", qos)
        client.send(ack(kind, client.expect(PUBLISH).packet_id, code))
    publisher.publish(topic, "taken", 1)
    assert client.payloads(1) == ["taken"]
    assert client.ping() == []  # the broker has read the PUBACK
    client.drop()
    again = broker.client(5, name, **options)
    assert again.connack.session_present == 1
    publisher.publish(topic, "next", 1)
    assert again.payloads(1) == ["next"]


# ---- retained ----

def retained(broker, version, topic, qos=2):
    """What a new subscription to the topic brings, up to a marker: (payload, qos, retain)."""
    client, marker = broker.client(version), broker.name("marker")
    client.subscribe((topic, qos), (marker, 0))
    client.publish(marker, "marker")
    found = []
    while (item := client.message()).payload != b"marker":
        found.append((item.payload, item.qos, item.retain))
    return found


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_retained_messages(broker, version, qos):
    """[MQTT-3.3.1-5] to [MQTT-3.3.1-9] [MQTT-3.3.1-12], 3.1.1 [MQTT-3.3.1-5] to [MQTT-3.3.1-12]."""
    topic = broker.name("r")
    watcher, publisher = broker.subscriber(version, topic), broker.client(version)

    def say(payload, retain=True):
        publisher.publish(topic, payload, qos, retain=retain)
        heard = watcher.message()
        assert (heard.payload.decode(), heard.retain) == (payload, False)  # established: RETAIN 0
    say("first")
    assert retained(broker, version, topic) == [(b"first", qos, True)]
    say("second")
    say("passing", retain=False)
    assert retained(broker, version, topic) == [(b"second", qos, True)]
    assert retained(broker, version, topic, qos=0) == [(b"second", 0, True)]
    say("")
    assert retained(broker, version, topic) == []
    say("")  # and not stored
    assert retained(broker, version, topic) == []


def test_a_retained_message_outlives_its_publisher(broker, version):
    """3.1.1 [MQTT-3.1.2-7]."""
    topic = broker.name("r")
    client = broker.client(version)
    client.publish(topic, "x", 1, retain=True)
    client.disconnect()
    assert retained(broker, version, topic) == [(b"x", 1, True)]


def test_qos_0_replaces_what_is_retained(broker, version):
    """3.1.1 [MQTT-3.3.1-7]."""
    topic = broker.name("r")
    client = broker.client(version)
    client.publish(topic, "old", 2, retain=True)
    client.publish(topic, "new", 0, retain=True)
    client.ping()
    assert retained(broker, version, topic) == [(b"new", 0, True)]


def test_wildcards_find_retained_messages(broker, version):
    """[MQTT-3.3.1-9]."""
    base = broker.name("r")
    client = broker.client(version)
    for level in ("", "/a", "/a/b", "/c"):
        client.publish(base + level, level or "-", 1, retain=True)
    assert sorted(item[0] for item in retained(broker, version, base + "/+")) == [b"/a", b"/c"]
    reader = broker.client(version)
    reader.subscribe((base + "/#", 1))
    assert sorted(reader.payloads(4)) == ["-", "/a", "/a/b", "/c"]


# ---- properties ----

ALL_PROPERTIES = {"payload_format": 1, "content_type": "application/json", "response_topic": "réponse/1", "correlation_data": b"\0\xff",
                  "user": [("z", "1"), ("a", "2"), ("z", "3"), ("", ""), ("a", "\u00e9\n")]}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_come_through_unaltered_and_in_order(broker, qos):
    """[MQTT-3.3.2-4] [MQTT-3.3.2-15] to [MQTT-3.3.2-18] [MQTT-3.3.2-20]: at once, retained, and out of a queue."""
    topic, name = broker.name("t"), broker.name()
    keep = {"props": {"session_expiry": 60}, "clean": False}
    broker.subscriber(5, topic, client_id=name, **keep).disconnect()
    live, publisher = broker.subscriber(5, topic), broker.client(5)
    publisher.publish(topic, "{}", qos, retain=True, props=ALL_PROPERTIES)
    assert live.message().props == ALL_PROPERTIES
    late = broker.client(5)
    late.subscribe((topic, 2))
    assert late.message().props == ALL_PROPERTIES
    if qos:
        assert broker.client(5, name, **keep).message().props == ALL_PROPERTIES
    old = broker.client(4)
    old.subscribe((topic, 2))
    assert old.message().payload == b"{}"


def test_message_expiry_counts_down_and_ends(broker):
    """[MQTT-3.3.2-5] [MQTT-3.3.2-6]: for retained messages and those in a queue; [MQTT-4.3.3-7]: not for what was sent."""
    base, name = broker.name("t"), broker.name()
    keep = {"props": {"session_expiry": 60}, "clean": False}
    subscriber = broker.subscriber(5, base + "/#", client_id=name, **keep)
    publisher = broker.client(5)
    publisher.publish(base + "/sent", "sent", 2, props={"message_expiry": 1})
    sent = subscriber.expect(PUBLISH)
    assert sent.props == {"message_expiry": 1}
    subscriber.disconnect()
    for seconds in (1, 100):
        publisher.publish(f"{base}/{seconds}", f"{seconds}", 1, retain=True, props={"message_expiry": seconds})
    publisher.publish(base + "/zero", "zero", 1, props={"message_expiry": 0})
    time.sleep(2.1)
    late = broker.client(5)
    late.subscribe((base + "/#", 1))
    heard = late.message()
    assert heard.payload == b"100" and 90 < heard.props["message_expiry"] < 99 and heard.retain
    again = broker.client(5, name, **keep)
    first = again.expect(PUBLISH)
    assert (first.payload, first.dup, first.packet_id, first.props["message_expiry"]) == (b"sent", True, sent.packet_id, 0)
    again.acknowledge(first)
    heard = again.message()
    assert heard.payload == b"100" and 90 < heard.props["message_expiry"] < 99
    publisher.publish(base + "/next", "next", 1)
    assert again.payloads(1) == ["next"] and late.payloads(1) == ["next"]


# ---- topic aliases ----

def test_aliases_of_a_client(broker):
    """[MQTT-3.3.2-12]: all up to the maximum; they can be given anew, and end with the connection [MQTT-3.3.2-7]."""
    base, name = broker.name("t"), broker.name()
    subscriber = broker.subscriber(5, base + "/#")
    publisher = broker.client(5, name)
    for alias in range(1, 17):
        publisher.publish(f"{base}/{alias}", "x", alias % 3, props={"topic_alias": alias, "user": ("k", "v")})
    for alias in range(16, 0, -1):
        publisher.publish("", "y", alias % 3, props={"user": ("k", "v"), "topic_alias": alias})
    heard = subscriber.messages(32)
    assert {item.topic.rsplit("/")[-1] for item in heard[:16]} == {item.topic.rsplit("/")[-1] for item in heard[16:]}
    assert all(item.props == {"user": [("k", "v")]} for item in heard)
    publisher.publish(base + "/new", "z", 1, props={"topic_alias": 3})
    publisher.publish("", "z", 1, props={"topic_alias": 3})
    assert [item.topic for item in subscriber.messages(2)] == [base + "/new"] * 2
    publisher.disconnect()
    again = broker.client(5, name)
    again.send(publish(5, "", "x", props={"topic_alias": 3}))
    assert again.closed_with() == 0x82


def test_aliases_of_the_broker(broker):
    """[MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]: as many as the client takes, and none if it takes none."""
    base, publisher = broker.name("t"), broker.client(5)
    without, two = broker.subscriber(5, base + "/#"), broker.subscriber(5, base + "/#", props={"topic_alias_maximum": 2})
    for qos in (0, 1, 2):
        for topic in "abc":
            publisher.publish(f"{base}/{topic}", topic, qos)
    assert all(item.props == {} for item in without.messages(9))
    known = {}
    for item in two.messages(9):
        alias = item.props.get("topic_alias")
        assert alias in (None, 1, 2)
        if alias and item.topic:
            assert alias not in known
            known[alias] = item.topic
        assert (item.topic or known[alias]) == f"{base}/{item.payload.decode()}"
        assert (alias is None) == (item.payload == b"c")


def test_aliases_of_the_broker_end_with_the_connection(broker):
    """[MQTT-3.3.2-7]: what is sent again has its topic."""
    topic, name = broker.name("t"), broker.name()
    keep = {"clean": False, "props": {"session_expiry": 60, "topic_alias_maximum": 5}}
    first = broker.subscriber(5, topic, client_id=name, **keep)
    publisher = broker.client(5)
    publisher.publish(topic, "1", 1)
    publisher.publish(topic, "2", 1)
    assert [item.topic for item in (first.expect(PUBLISH), first.expect(PUBLISH))] == [topic, ""]
    first.drop()
    again = broker.client(5, name, **keep)
    heard = again.messages(2)
    assert [(item.topic, item.dup, item.payload) for item in heard] == [(topic, True, b"1"), ("", True, b"2")]


# ---- flow control and size ----

def test_the_clients_receive_maximum_holds(broker):
    """[MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-1] to [MQTT-4.9.0-3]: QoS 0 and answers go on meanwhile."""
    topic = broker.name("t")
    client = broker.subscriber(5, topic, props={"receive_maximum": 2})
    publisher = broker.client(5)
    for i, qos in enumerate((1, 2, 1, 2, 0)):
        publisher.publish(topic, f"{i}", qos)
    first, second, third = (client.expect(PUBLISH) for _ in range(3))
    assert [item.payload for item in (first, second, third)] == [b"0", b"1", b"4"]
    assert client.ping() == [] and client.subscribe("other") == [0]
    client.send(ack(PUBREC, second.packet_id))
    client.expect(PUBREL)
    assert client.ping() == []  # the quota is free with PUBCOMP
    client.acknowledge(first)
    third = client.expect(PUBLISH)
    client.send(ack(PUBCOMP, second.packet_id))
    fourth = client.expect(PUBLISH)
    assert [item.payload for item in (third, fourth)] == [b"2", b"3"]


def test_the_brokers_receive_maximum_holds(broker):
    """[MQTT-3.3.4-7]: one more than announced is 0x93; what is complete does not count."""
    client = broker.client(5)
    most = client.connack.props["receive_maximum"]
    for start in (1, 1 + most):
        client.send(*[publish(5, "nobody", "", 2, 1 + (start + i) % 60000) for i in range(most)])
        ids = [client.expect(PUBREC).packet_id for _ in range(most)]
        client.send(*[ack(PUBREL, packet_id) for packet_id in ids])
        assert [client.expect(PUBCOMP).packet_id for _ in range(most)] == ids
    client.send(*[publish(5, "nobody", "", 2, i + 1) for i in range(most + 1)])
    found = client.closed()
    assert [item.type for item in found[:-1]] == [PUBREC] * most and found[-1].code == 0x93


def test_packets_too_large_for_a_client_are_left_out(broker):
    """[MQTT-3.1.2-24] [MQTT-3.1.2-25]: as if they had been sent; others get them."""
    topic = broker.name("t")
    small = broker.subscriber(5, topic, props={"maximum_packet_size": 64, "receive_maximum": 1})
    large, publisher = broker.subscriber(5, topic), broker.client(5)
    for qos in (0, 1, 2):
        publisher.publish(topic, "small", qos)
        publisher.publish(topic, "." * 64, qos)
    publisher.publish(topic, "end", 1)
    assert small.payloads(4) == ["small"] * 3 + ["end"]
    assert len(large.messages(7)) == 7


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16383, 16384, 70000, 2096000])
def test_sizes(broker, version, size):
    """Section 2.1.4: all lengths of the length."""
    topic = broker.name("t")
    client = broker.subscriber(version, topic, qos=0)
    payload = bytes(i % 251 for i in range(size))
    client.publish(topic, payload)
    assert client.message().payload == payload


# ---- order ----

@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_come_in_order(broker, version, qos):
    """[MQTT-4.6.0-5] [MQTT-4.6.0-6] [MQTT-4.5.0-1]; acknowledgements too [MQTT-4.6.0-2] [MQTT-4.6.0-3]."""
    topic = broker.name("t")
    subscriber, publisher = broker.subscriber(version, topic), broker.client(version)
    publisher.send(*[publish(version, topic, f"{i}", qos, i + 1) for i in range(200)])
    if qos:
        assert [publisher.receive().packet_id for _ in range(200)] == list(range(1, 201))
    heard = [subscriber.expect(PUBLISH) for _ in range(200)]
    assert [int(item.payload) for item in heard] == list(range(200))
    if qos:
        assert len({item.packet_id for item in heard}) == 200  # [MQTT-4.3.2-1] [MQTT-4.3.3-1]


def test_a_new_subscription_gets_retained_messages_before_later_ones(broker, version):
    topic = broker.name("r")
    publisher = broker.client(version)
    publisher.publish(topic, "0", 1, retain=True)
    subscriber = broker.client(version)
    subscriber.subscribe((topic, 1))
    for i in range(1, 20):
        publisher.publish(topic, f"{i}", 1, retain=True)
    assert subscriber.payloads(20) == [f"{i}" for i in range(20)]
