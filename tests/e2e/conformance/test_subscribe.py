"""SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11), topics and filters (4.7), shared subscriptions (4.8)."""
import pytest

from packets import PUBACK, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, Client, ack, publish, string, subscribe, unsubscribe

NO_LOCAL, AS_PUBLISHED, IF_NEW, NEVER = 0x04, 0x08, 0x10, 0x20


def heard_before(client, publisher, topic):
    """The payloads that reach the client before one that the publisher sends now to `topic`."""
    publisher.publish(topic, "the end", 1)
    found = []
    while (item := client.message()).payload != b"the end":
        found.append(item.payload.decode())
    return found


# ---- answers ----

def test_one_answer_with_a_code_for_each_filter(broker, version):
    """[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] to [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]."""
    client, base = broker.client(version), broker.name("t")
    for packet_id in (1, 65535):
        client.send(subscribe(version, packet_id, [(base + "/2", 2), (base + "/0", 0), ("$share/g", 1), (base + "/1", 1), (base + "/2", 1)]))
        answer = client.expect(SUBACK)
        assert answer.packet_id == packet_id
        assert answer.codes == [2, 0, 0x80 if version == 4 else 0x8F, 1, 1]


def test_unsuback(broker, version):
    """[MQTT-3.10.4-1] [MQTT-3.10.4-4] to [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT-3.11.3-2]: filters are texts, not patterns."""
    client, base = broker.client(version), broker.name("t")
    client.subscribe(base + "/a", base + "/+")
    client.send(unsubscribe(version, 65535, [base + "/b", base + "/+", base + "/#", base + "/+", "$share/g/" + base + "/a"]))
    answer = client.expect(UNSUBACK)
    assert answer.packet_id == 65535
    assert answer.codes == ([] if version == 4 else [0x11, 0, 0x11, 0x11, 0x11])
    publisher = broker.client(version)
    publisher.publish(base + "/b", "not this", 1)
    assert heard_before(client, publisher, base + "/a") == []


def test_subscribe_and_unsubscribe_may_have_user_properties(broker):
    client = broker.client(5)
    user = {"user": [("k", "v"), ("", "")]}
    client.send(subscribe(5, 1, [("a", 0)], user), unsubscribe(5, 2, ["a"], user))
    assert (client.expect(SUBACK).codes, client.expect(UNSUBACK).codes) == ([0], [0])


def test_a_subscription_that_is_not_allowed(make_weir, version):
    """Section 3.9.3: 0x80 in 3.1.1, 0x87 in 5.0; the others of the packet are granted."""
    weir = make_weir({"workers": 1, "web": {"bind": "127.0.0.1:0"}, "mqtt": {
        "listeners": [{"bind": "127.0.0.1:0", "policy": "restricted"}], "subscriptions_max": 2,
        "policies": {"restricted": {"statement": [
            {"effect": "Allow", "action": "iot:*", "resource": "*"},
            {"effect": "Deny", "action": "iot:Subscribe", "resource": "topicfilter/test/nosubscribe"}]}}}})
    with Client(weir.port(), version) as client:
        client.connect("a")
        assert client.subscribe("a", "test/nosubscribe", "b", "c") == [0, 0x80 if version == 4 else 0x87, 0, 0x80 if version == 4 else 0x97]
        assert client.ping() == []


# ---- what a subscription does ----

def test_a_subscription_replaces_the_one_before(broker, version):
    """[MQTT-3.8.4-3]: one copy, at the new quality of service; nothing is lost [MQTT-3.8.4-4]."""
    topic = broker.name("t")
    client, publisher = broker.subscriber(version, topic, qos=2), broker.client(version)
    publisher.publish(topic, "1", 2)
    assert client.subscribe((topic, 1)) == [1]
    publisher.publish(topic, "2", 2)
    assert client.subscribe((topic, 0)) == [0]
    publisher.publish(topic, "3", 2)
    assert [(item.payload, item.qos) for item in client.messages(3)] == [(b"1", 2), (b"2", 1), (b"3", 0)]


def test_overlapping_subscriptions(broker, version):
    """[MQTT-3.3.4-2]: one copy, at the highest quality of service."""
    base = broker.name("t")
    client, publisher = broker.client(version), broker.client(version)
    assert client.subscribe((base + "/#", 2), (base + "/+", 1), (base + "/a", 0)) == [2, 1, 0]
    publisher.publish(base + "/a", "once", 2)
    heard = client.message()
    assert (heard.payload, heard.qos) == (b"once", 2)
    assert heard_before(client, publisher, base + "/b") == []


def test_unsubscribe_ends_delivery_but_not_what_has_begun(broker, version):
    """[MQTT-3.10.4-2] [MQTT-3.10.4-3]."""
    topic, other = broker.name("t"), broker.name("t")
    client, publisher = broker.subscriber(version, topic, other), broker.client(version)
    publisher.publish(topic, "begun", 2)
    message = client.expect(PUBLISH)
    client.unsubscribe(topic)
    publisher.publish(topic, "not this", 1)
    client.send(ack(PUBREC, message.packet_id))
    assert client.expect(PUBREL).packet_id == message.packet_id
    assert heard_before(client, publisher, other) == []


# ---- options of 5.0 ----

def test_retain_handling(broker):
    """[MQTT-3.3.1-9] to [MQTT-3.3.1-11] [MQTT-3.8.4-4]."""
    base = broker.name("r")
    publisher, client = broker.client(5), broker.client(5)
    for i in range(3):
        publisher.publish(f"{base}/{i}", f"{i}", i, retain=True)

    def brought(options, filter_text=base + "/+"):
        client.subscribe((filter_text, 2 | options))
        client.subscribe((base + "/end", 1 | NEVER))
        return sorted(heard_before(client, publisher, base + "/end"))
    assert brought(NEVER) == []
    assert brought(IF_NEW) == []  # it is not new
    assert brought(0) == ["0", "1", "2"]
    assert brought(0) == ["0", "1", "2"]
    client.unsubscribe(base + "/+")
    assert brought(IF_NEW) == ["0", "1", "2"]
    assert brought(IF_NEW) == []
    assert brought(0, "$share/g/" + base + "/+") == []  # section 4.8.2: shares get none


def test_retain_as_published(broker):
    """[MQTT-3.3.1-12] [MQTT-3.3.1-13]."""
    topic = broker.name("r")
    plain, as_published = broker.client(5), broker.client(5)
    plain.subscribe((topic, 1))
    as_published.subscribe((topic, 1 | AS_PUBLISHED))
    publisher = broker.client(5)
    for qos in (0, 1, 2):
        publisher.publish(topic, "kept", qos, retain=True)
        publisher.publish(topic, "passing", qos)
    assert [item.retain for item in plain.messages(6)] == [False] * 6
    assert [item.retain for item in as_published.messages(6)] == [True, False] * 3


def test_no_local(broker):
    """[MQTT-3.8.3-3]: not to the connection that published it, live or retained, nor its will."""
    topic, name = broker.name("t"), broker.name()
    keep = {"props": {"session_expiry": 60}, "clean": False}
    own = broker.client(5, name, will={"topic": topic, "payload": b"will"}, **keep)
    other = broker.client(5)
    own.subscribe((topic, 1 | NO_LOCAL))
    other.subscribe((topic, 1 | NO_LOCAL))
    own.publish(topic, "own", 1, retain=True)
    own.subscribe((topic, 1 | NO_LOCAL))  # its own retained message is no different
    other.publish(topic, "other", 1)
    assert other.payloads(1) == ["own"] and own.payloads(1) == ["other"]
    own.drop()
    assert other.payloads(1) == ["will"]
    again = broker.client(5, name, **keep)
    other.publish(topic, "end", 1)
    assert again.connack.session_present == 1 and again.payloads(1) == ["end"]


def test_no_local_counts_for_its_own_filter(broker):
    base = broker.name("t")
    client = broker.client(5)
    client.subscribe((base + "/#", 2 | NO_LOCAL), props={"subscription_id": 1})
    client.subscribe((base + "/a", 0), props={"subscription_id": 2})
    client.publish(base + "/b", "not this", 1)
    client.publish(base + "/a", "this", 1)
    heard = client.message()
    assert (heard.payload, heard.qos, heard.props) == (b"this", 0, {"subscription_id": [2]})


def test_subscription_identifiers(broker):
    """[MQTT-3.3.4-3] [MQTT-3.3.4-4]: those of all subscriptions that match, live, retained and queued; replaced and removed."""
    base, name = broker.name("t"), broker.name()
    keep = {"props": {"session_expiry": 60}, "clean": False}
    client, publisher = broker.client(5, name, **keep), broker.client(5)
    publisher.publish(base + "/a", "retained", 1, retain=True)
    client.subscribe((base + "/a", 1), props={"subscription_id": 1})
    client.subscribe((base + "/+", 2 | NEVER), props={"subscription_id": 268435455})
    client.subscribe((base + "/#", 0 | NEVER))
    assert client.message().props == {"subscription_id": [1]}

    def ids(of):
        publisher.publish(base + "/a", "x", 1)
        return sorted(of.message().props.get("subscription_id", []))
    assert ids(client) == [1, 268435455]
    client.subscribe((base + "/+", 1 | NEVER), props={"subscription_id": 128})
    assert ids(client) == [1, 128]
    client.subscribe((base + "/a", 1 | NEVER))
    assert ids(client) == [128]
    client.disconnect()
    publisher.publish(base + "/a", "queued", 1)
    again = broker.client(5, name, **keep)
    assert again.message().props == {"subscription_id": [128]}


# ---- topics ----

@pytest.mark.parametrize("matching,filter_text,topic", [(True, *pair) for pair in (
    ("#", "a"), ("#", "a/b/c"), ("#", "/"), ("+", "a"), ("+/+", "/"), ("/+", "/a"), ("+/+", "/a"), ("a/#", "a"), ("a/#", "a/"),
    ("a/#", "a/b/c"), ("a/+", "a/"), ("a/+/c", "a/b/c"), ("a/+/c", "a//c"), ("a/+/#", "a/b"), ("+/b/#", "a/b/c"), ("/", "/"),
    ("a b/ c", "a b/ c"), ("ä/+/日本", "ä/ö/日本"), ("𪛔", "𪛔"), ("$x/#", "$x"), ("$x/+", "$x/a"), ("a/$x", "a/$x"), ("+/$x", "a/$x"))]
    + [(False, *pair) for pair in (
        ("+", "a/b"), ("+", "/a"), ("a/+", "a"), ("a/+", "a/b/c"), ("a/#", "b/a"), ("a/#", "ab"), ("a", "A"), ("a", "a/"), ("a/", "a"),
        ("/a", "a"), ("a//b", "a/b"), ("#", "$x"), ("#", "$x/a"), ("+/a", "$x/a"), ("+", "$x"), ("+/#", "$x/a"), ("e\u0301", "\u00e9"),
        ("a", "\ufeffa"))])
def test_topics_and_filters(broker, version, matching, filter_text, topic):
    """[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-4.7.3-4] [MQTT-3.3.2-3]; sections 4.7.1 to 4.7.3."""
    base = "" if topic[0] in "$/\ufeff" or filter_text[0] in "#+" else broker.name("t") + "/"
    client, publisher, end = broker.client(version), broker.client(version), broker.name("end")
    client.subscribe((base + filter_text, 1), (end, 1))
    payload = broker.name("only")
    publisher.publish(base + topic, payload, 1)
    assert (payload in heard_before(client, publisher, end)) == matching


def test_a_topic_may_have_65535_bytes(broker, version):
    """[MQTT-4.7.3-3]."""
    topic = broker.name("t") + "/"
    topic += "x" * (65535 - len(topic))
    client = broker.subscriber(version, topic, qos=1)
    client.publish(topic, "x", 1)
    assert client.message().topic == topic


# ---- shared subscriptions ----

@pytest.mark.parametrize("text", ["$share", "$share/", "$share/g", "$share/g/", "$share//t", "$share/a+b/t", "$share/#/t", "$share/+/t"])
def test_what_is_no_shared_subscription(broker, version, text):
    """[MQTT-4.8.2-1] [MQTT-4.8.2-2]."""
    client = broker.client(version)
    client.send(subscribe(version, 1, [(text, 0)]))
    assert client.expect(SUBACK).codes == [0x80 if version == 4 else 0x8F]
    assert client.ping() == []


def test_a_share_with_a_bad_filter_is_refused(broker):
    client = broker.client(5)
    assert client.subscribe("$share/g/a/#/b", "$share/g/a+") == [0x8F, 0x8F]


def test_each_message_goes_to_one_member(broker, version):
    """[MQTT-4.8.2-3]: of each share, at its own quality of service; others get all."""
    topic = broker.name("t")
    filter_text = f"$share/g/{topic}/+"
    members = [broker.subscriber(version, filter_text, qos=qos) for qos in (1, 1, 2, 0)]
    alone = broker.subscriber(version, f"$share/h/{topic}/#", qos=2)
    plain = broker.subscriber(version, f"{topic}/#", qos=1)
    publisher, marker = broker.client(version), broker.name("marker")
    for client in members:
        client.subscribe((marker, 0))
    for i in range(40):
        publisher.publish(f"{topic}/{i}", f"{i}", 2)
    publisher.publish(marker, "end")  # arrives behind all that its publisher has sent before
    assert sorted(map(int, alone.payloads(40))) == sorted(map(int, plain.payloads(40))) == list(range(40))
    heard = []
    for client, qos in zip(members, (1, 1, 2, 0)):
        mine = []
        while (item := client.message()).payload != b"end":
            mine.append(item)
        assert mine and all(item.qos == qos for item in mine)
        heard += [int(item.payload) for item in mine]
    assert sorted(heard) == list(range(40))


def test_a_member_that_leaves_is_left_out(broker, version):
    topic = broker.name("t")
    first, second = (broker.subscriber(version, f"$share/g/{topic}", qos=1) for _ in range(2))
    publisher = broker.client(version)
    first.unsubscribe(f"$share/g/{topic}")
    for i in range(10):
        publisher.publish(topic, f"{i}", 1)
    assert second.payloads(10) == [f"{i}" for i in range(10)]
    assert first.ping() == []


def test_qos_2_is_completed_with_the_member_that_it_was_begun_with(broker):
    """[MQTT-4.8.2-4] [MQTT-4.8.2-5]."""
    topic, name = broker.name("t"), broker.name()
    keep = {"props": {"session_expiry": 60}, "clean": False}
    first = broker.subscriber(5, f"$share/g/{topic}", client_id=name, **keep)
    publisher = broker.client(5)
    publisher.publish(topic, "begun", 2)
    message = first.expect(PUBLISH)
    second = broker.subscriber(5, f"$share/g/{topic}", qos=2)
    first.disconnect()
    publisher.publish(topic, "next", 2)
    assert second.payloads(1) == ["next"]
    again = broker.client(5, name, **keep)
    repeated = again.expect(PUBLISH)
    assert (repeated.payload, repeated.packet_id, repeated.dup) == (b"begun", message.packet_id, True)
    again.acknowledge(repeated)
    assert second.ping() == []


def test_qos_2_goes_to_nobody_else(broker):
    """[MQTT-4.8.2-5]: not even when the session ends before it is complete."""
    topic = broker.name("t")
    first = broker.subscriber(5, f"$share/g/{topic}")  # a session that ends with its connection
    publisher = broker.client(5)
    publisher.publish(topic, "begun", 2)
    assert first.expect(PUBLISH).payload == b"begun"
    second = broker.subscriber(5, f"$share/g/{topic}")
    first.disconnect()
    publisher.publish(topic, "next", 2)
    assert second.payloads(1) == ["next"]


def test_a_refused_message_goes_to_no_other_member(broker):
    """[MQTT-4.8.2-6]."""
    topic, marker = broker.name("t"), broker.name("marker")
    members = [broker.subscriber(5, f"$share/g/{topic}", qos=qos) for qos in (1, 2)]
    for client in members:
        client.subscribe((marker, 0))
    publisher = broker.client(5)
    for i in range(6):
        publisher.publish(topic, f"{i}", 2)

    def refuse_all():
        """What both members get before a marker, refused."""
        publisher.publish(marker, "marker")
        found = []
        for client, kind in zip(members, (PUBACK, PUBREC)):
            while (item := client.expect(PUBLISH)).payload != b"marker":
                client.send(ack(kind, item.packet_id, 0x83))
                found.append(int(item.payload))
            assert client.ping() == []
        return sorted(found)
    assert refuse_all() == list(range(6))
    assert refuse_all() == []


def test_a_share_and_a_subscription_of_its_own_give_two_copies(broker):
    topic = broker.name("t")
    client, publisher = broker.client(5), broker.client(5)
    client.subscribe((topic, 1), props={"subscription_id": 1})
    client.subscribe((f"$share/g/{topic}", 1), props={"subscription_id": 2})
    publisher.publish(topic, "x", 1)
    assert sorted(item.props["subscription_id"] for item in client.messages(2)) == [[1], [2]]


def test_publishing_needs_no_subscriber_and_dollar_topics_do_no_harm(broker, version):
    client = broker.client(version)
    for topic in ("$share/g/t", "$x/y"):
        client.send(publish(version, topic, "x"))
    assert client.ping() == [] and string("") == b"\0\0"
