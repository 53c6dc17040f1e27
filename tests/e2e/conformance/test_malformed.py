"""Packets that break the rules, one row each: the connection ends, in 5.0 with the reason that the specification gives.

A row: statements, version, name, what is sent. Before a row of CONNECTED the client has connected.
"""
import pytest

from packets import (AUTH, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, CONNACK, ack, connect,
                     disconnect, packet, properties, publish, string, subscribe, unsubscribe, varint)

MALFORMED, PROTOCOL, TOPIC_ALIAS, TOO_LARGE, RETAIN = 0x81, 0x82, 0x94, 0x95, 0x9A
SURROGATE, NUL, CUT = b"a\xed\xa0\x80", b"a\0b", b"a\xc3"
NOT_UTF8 = {"surrogate": SURROGATE, "U+0000": NUL, "cut off": CUT, "overlong": b"\xc0\xaf", "0xff": b"\xff",
            "above U+10FFFF": b"\xf4\x90\x80\x80", "control": b"a\x01", "DEL": b"\x7f", "C1": b"\xc2\x85",
            "non-character": b"\xef\xbf\xbf"}


def bad_texts(build):
    """The same packet with each of the bad texts in it."""
    return [(name, build(text)) for name, text in NOT_UTF8.items()]


# ---- CONNECT ----

def connect_rows():
    """(statements, name, bytes, what comes back: a CONNACK's code or None)"""
    for version, refused in ((4, None), (5, MALFORMED)):
        def row(statements, name, *arguments, code=refused, v=version, **options):
            return statements, f"{v}: {name}", connect(*arguments, version=v, **options), code
        will = {"topic": "w", "payload": b"w"}
        yield row("3.1.2-3", "reserved flag", "a", flags=0x03)
        yield row("3.1.2-11 3.1.2-13", "will qos without will", "a", flags=0x0A)
        yield row("3.1.2-13 3.1.2-15", "will retain without will", "a", flags=0x22)
        yield row("3.1.2-12 3.1.2-14", "will qos 3", "a", will={**will, "qos": 3})
        yield row("3.1.2-9", "will without its fields", "a", flags=0x06)
        yield row("3.1.2-17 3.1.2-19", "user name flag without user name", "a", flags=0x82)
        yield row("3.1.2-19 3.1.2-21", "password flag without password", "a", user="u", flags=0xC2)
        yield row("3.1.2-16 3.1.2-18", "user name without its flag", "a", user="u", flags=0x02)
        yield row("3.1.2-18 3.1.2-20", "password without its flag", "a", user="u", password="p", flags=0x82)
        yield "3.1.3-3", f"{version}: no client identifier", packet(1, 0, connect("", version=version)[2:-2]), refused
        yield "2.1.3-1 2.2.2-2", f"{version}: flags of the fixed header", b"\x11" + connect("a", version=version)[1:], refused
        yield "3.1.4-1", f"{version}: a byte too many", packet(1, 0, connect("a", version=version)[2:] + b"\0"), refused
        for name, text in bad_texts(lambda text: text):
            yield row("1.5.4-1 1.5.4-2 3.1.3-4", f"client identifier: {name}", text)
            yield row("1.5.4-1 1.5.4-2 3.1.3-11", f"user name: {name}", "a", user=text)
            yield row("1.5.4-1 1.5.4-2 3.1.3-10", f"will topic: {name}", "a", will={**will, "topic": text})
    yield "3.1.2-22", "4: password without user name", connect("a", version=4, password="p"), None
    yield "3.1.2-1", "another protocol's name", connect("a", version=4, name="MQXX"), None
    yield "3.1.2-1", "a protocol name that goes on", connect("a", version=4, name="MQTTX"), None
    yield "3.1.2-1", "no protocol name", connect("a", version=4, name=b""), None
    yield "3.1.0-1", "cut off", packet(1, 0, connect("a", version=4)[2:8]), None

    def v5(statements, name, *arguments, code=MALFORMED, **options):
        return statements, f"5: {name}", connect(*arguments, **options), code
    yield v5("3.1.2.11", "session expiry twice", "a", props={"session_expiry": [1, 1]}, code=PROTOCOL)
    for name, value in (("receive_maximum", 9), ("maximum_packet_size", 999), ("topic_alias_maximum", 1), ("request_response", 0),
                        ("request_problem", 0), ("auth_method", "x"), ("auth_data", b"x")):
        yield v5("3.1.2.11", f"{name} twice", "a", props={name: [value, value]}, code=PROTOCOL)
    yield v5("3.1.2.11.3", "receive maximum 0", "a", props={"receive_maximum": 0}, code=PROTOCOL)
    yield v5("3.1.2.11.4", "maximum packet size 0", "a", props={"maximum_packet_size": 0}, code=PROTOCOL)
    yield v5("3.1.2.11.6", "request response information 2", "a", props={"request_response": 2}, code=PROTOCOL)
    yield v5("3.1.2.11.7", "request problem information 2", "a", props={"request_problem": 2}, code=PROTOCOL)
    yield v5("3.1.2.11.10", "authentication data without method", "a", props={"auth_data": b"x"}, code=PROTOCOL)
    yield v5("4.12.0-1", "unknown authentication method", "a", props={"auth_method": "nothing"}, code=0x8C)
    for name, value in (("payload_format", 1), ("topic_alias", 1), ("server_reference", "x"), ("maximum_qos", 1),
                        ("will_delay", 1), ("reason_string", "x"), ("assigned_client_id", "x"), ("subscription_id", 1)):
        yield v5("2.2.2.2", f"{name} does not belong here", "a", props={name: value})
    yield v5("2.2.2.2", "unknown property", "a", props=b"\x7f\x01")
    yield v5("2.2.2.2", "property without value", "a", props=b"\x21")
    yield v5("1.5.7-1", "user property not UTF-8", "a", props={"user": ("k", SURROGATE)})
    will = {"topic": "w"}
    yield v5("3.1.3.2", "will delay twice", "a", will={**will, "props": {"will_delay": [1, 1]}}, code=PROTOCOL)
    yield v5("3.1.3.2", "a will's payload format 2", "a", will={**will, "props": {"payload_format": 2}}, code=PROTOCOL)
    yield v5("3.1.3.2", "topic alias in a will", "a", will={**will, "props": {"topic_alias": 1}})
    yield v5("4.7.1-1", "wildcard in the will topic", "a", will={"topic": "w/#"}, code=0x90)
    yield v5("4.7.3-1", "empty will topic", "a", will={"topic": ""}, code=0x90)
    raw = connect("a")
    yield "1.5.5-1", "5: remaining length too long", raw[:1] + bytes([raw[1] | 0x80, 0]) + raw[2:], MALFORMED
    yield "1.5.5-1", "5: property length too long", packet(1, 0, raw[2:12] + b"\x80\0" + raw[13:]), MALFORMED
    yield "3.1.2-2", "5: level 6", connect("a", level=6), 0x84
    yield "3.1.2-2", "4: level 3", connect("a", version=4, level=3), 1
    yield "3.1.2-2", "3.1: level 5", connect("a", version=3, level=5), 1
    yield "3.1.3-8", "4: empty client identifier, clean session 0", connect("", version=4, clean=False), 2
    yield "3.1", "3.1: empty client identifier", connect("", version=3), 2
    yield "2.1.4", "remaining length of five bytes", b"\x10\xff\xff\xff\xff\x01", None


CONNECT_ROWS = list(connect_rows())


@pytest.mark.parametrize("raw,code", [row[2:] for row in CONNECT_ROWS], ids=[f"{row[1]}" for row in CONNECT_ROWS])
def test_connect(broker, raw, code):
    client = broker.open(5 if code is not None and code >= 0x80 else 4)
    found = client.send(raw).closed()
    assert [item.type for item in found] == ([CONNACK] if code is not None else [])
    if code is not None:  # and no session
        assert (found[0].code, found[0].session_present) == (code, 0)


@pytest.mark.parametrize("raw", [publish(4, "a", b"x"), subscribe(4, 1, [("a", 0)]), unsubscribe(4, 1, ["a"]), packet(PINGREQ, 0, b""),
                                 ack(PUBACK, 1), packet(DISCONNECT, 0, b""), packet(AUTH, 0, b""), b"\x00\x00", b"GET / HTTP/1.1\r\n\r\n",
                                 connect("a", version=4, name="hj")])
def test_the_first_packet_is_connect(broker, raw):
    """[MQTT-3.1.0-1] [MQTT-3.1.4-6]: nothing is answered, and what follows is not looked at."""
    assert broker.open(4).send(raw).closed() == []


def test_what_follows_a_refused_connect_is_not_processed(broker, version):
    """[MQTT-3.1.4-6], 3.1.1 [MQTT-3.1.4-5]."""
    topic = broker.name("t")
    watcher = broker.subscriber(version, topic)
    client = broker.open(version)
    refused = connect("", version=4, clean=False) if version == 4 else connect("a", props={"auth_method": "x"})
    client.send(refused + publish(version, topic, b"not this"))
    assert [item.type for item in client.closed()] == [CONNACK]
    watcher.publish(topic, b"this")
    assert watcher.payloads(1) == ["this"]


# ---- all others ----

def rows(version):
    """(statements, name, bytes, reason in 5.0)"""
    def pub(*arguments, **options):
        return publish(version, *arguments, **options)

    def sub(pairs, packet_id=1, **options):
        return subscribe(version, packet_id, pairs, **options)

    def unsub(filters, packet_id=1):
        return unsubscribe(version, packet_id, filters)

    yield "3.1.0-2", "second CONNECT", connect("b", version=version), PROTOCOL
    yield "2.1.2", "type 0", b"\x00\x00", MALFORMED
    for kind in (2, 9, 11, 13):
        yield "2.1.2", f"packet {kind} is a server's", packet(kind, 0, b"\0\0" if kind != 13 else b""), PROTOCOL
    yield "2.1.4", "remaining length of five bytes", b"\x30\xff\xff\xff\xff\x01", MALFORMED
    # PUBLISH
    yield "3.3.1-4", "QoS 3", b"\x36" + pub("a", b"x", qos=1, packet_id=1)[1:], MALFORMED
    yield "3.3.1-2", "DUP with QoS 0", pub("a", b"x", dup=True), MALFORMED
    yield "2.2.1-3", "QoS 1 without identifier", pub("a", b"x", qos=1, packet_id=0), PROTOCOL
    yield "2.2.1-3", "QoS 2 with identifier 0", pub("a", b"x", qos=2, packet_id=0), PROTOCOL
    yield "3.3.2-1", "topic cut off", packet(3, 0, b"\0\5ab"), MALFORMED
    yield "3.3.2-1", "no topic", packet(3, 0, b""), MALFORMED
    yield "4.7.3-1", "empty topic", pub("", b"x"), PROTOCOL
    for topic in ("a/+", "a/#", "+", "#", "a+b"):
        yield "3.3.2-2 4.7.0-1", f"topic {topic}", pub(topic, b"x"), MALFORMED
    for name, text in bad_texts(lambda text: text):
        yield "1.5.4-1 1.5.4-2 3.3.2-1 4.7.3-2", f"topic: {name}", pub(text, b"x"), MALFORMED
        yield "1.5.4-1 1.5.4-2 3.8.3-1", f"filter: {name}", sub([(text, 0)]), MALFORMED
        yield "1.5.4-1 1.5.4-2 3.10.3-1", f"filter of UNSUBSCRIBE: {name}", unsub([text]), MALFORMED
    # SUBSCRIBE
    for flags in (0, 1, 3, 6, 10):
        yield "3.8.1-1", f"SUBSCRIBE flags {flags}", packet(SUBSCRIBE, flags, sub([("a", 0)])[2:]), MALFORMED
        yield "3.10.1-1", f"UNSUBSCRIBE flags {flags}", packet(UNSUBSCRIBE, flags, unsub(["a"])[2:]), MALFORMED
    yield "2.2.1-3", "SUBSCRIBE identifier 0", sub([("a", 0)], packet_id=0), PROTOCOL
    yield "2.2.1-3", "UNSUBSCRIBE identifier 0", unsub(["a"], packet_id=0), PROTOCOL
    yield "3.8.3-2", "SUBSCRIBE without filter", sub([]), PROTOCOL
    yield "3.10.3-2", "UNSUBSCRIBE without filter", unsub([]), PROTOCOL
    yield "3.8.3-4 3.8.3-5", "QoS 3 requested", sub([("a", 3)]), MALFORMED
    for option in (0x40, 0x80) if version == 5 else (0x04, 0x08, 0x10, 0x20, 0x40, 0x80):
        yield "3.8.3-4 3.8.3-5", f"reserved option {option:#x}", sub([("a", option)]), MALFORMED
    yield "3.8.3-5", "the second filter is bad", sub([("a", 0), ("b", 0xC3)]), MALFORMED
    yield "3.8.3-2", "filter without options", packet(SUBSCRIBE, 2, sub([("a", 0)])[2:-1]), MALFORMED
    for text in ("", "a/#/b", "a#", "#a", "a+", "+a", "a/b+/c", "##", "a/#b"):
        yield "4.7.1-1 4.7.1-2 4.7.3-1", f"filter '{text}'", sub([(text, 0)]), MALFORMED
        yield "4.7.1-1 4.7.1-2 4.7.3-1", f"UNSUBSCRIBE '{text}'", unsub([text]), MALFORMED
    # the rest
    for kind, flags in ((PUBACK, 2), (PUBREC, 1), (PUBREL, 0), (PUBREL, 3), (PUBCOMP, 8), (PINGREQ, 1), (DISCONNECT, 4)):
        body = b"\0\1" if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP) else b""
        yield "2.1.3-1 3.6.1-1 3.14.1-1", f"packet {kind} flags {flags}", packet(kind, flags, body), MALFORMED
    for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        yield "2.2.1-5", f"packet {kind} cut off", packet(kind, 2 if kind == PUBREL else 0, b"\0"), MALFORMED
        yield "2.2.1-5", f"packet {kind} identifier 0", ack(kind, 0), PROTOCOL
    yield "3.12", "PINGREQ with a body", packet(PINGREQ, 0, b"x"), MALFORMED
    if version == 4:
        yield "2.1.2", "type 15 does not exist", packet(AUTH, 0, b""), PROTOCOL
        yield "3.4", "PUBACK with a reason", ack(PUBACK, 1, 0), MALFORMED
        yield "3.14", "DISCONNECT with a body", packet(DISCONNECT, 0, b"\0"), MALFORMED


def rows_5():
    def pub(props, topic="a", payload=b"x"):
        return publish(5, topic, payload, props=props)
    yield "3.3.4-6", "subscription identifier from a client", pub({"subscription_id": 1}), PROTOCOL
    yield "3.3.2-8", "topic alias 0", pub({"topic_alias": 0}), TOPIC_ALIAS
    yield "3.3.2-9 3.2.2-17", "topic alias above the maximum", pub({"topic_alias": 17}), TOPIC_ALIAS
    yield "3.3.2.3.4", "topic alias that nobody has made", pub({"topic_alias": 1}, topic=""), PROTOCOL
    for topic in ("r/+", "#", ""):
        yield "3.3.2-14", f"response topic '{topic}'", pub({"response_topic": topic}), PROTOCOL
    yield "3.3.2-13", "response topic not UTF-8", pub({"response_topic": SURROGATE}), MALFORMED
    yield "3.3.2-19", "content type not UTF-8", pub({"content_type": CUT}), MALFORMED
    yield "1.5.7-1", "user property's name not UTF-8", pub({"user": (NUL, "v")}), MALFORMED
    yield "3.3.2.3.2", "payload format 2", pub({"payload_format": 2}), PROTOCOL
    for name, value in (("payload_format", 1), ("message_expiry", 1), ("topic_alias", 1), ("response_topic", "r"),
                        ("correlation_data", b"c"), ("content_type", "c")):
        yield "3.3.2.3", f"{name} twice", pub({name: [value, value]}), PROTOCOL
    for name, value in (("session_expiry", 1), ("server_keep_alive", 1), ("reason_string", "r"), ("receive_maximum", 1),
                        ("shared_available", 1), ("maximum_qos", 1), ("retain_available", 1), ("auth_method", "x")):
        yield "2.2.2.2", f"{name} in PUBLISH", pub({name: value}), MALFORMED
    yield "2.2.2.2", "property 0", pub(b"\0\1"), MALFORMED
    yield "1.5.5-1", "property identifier too long", pub(b"\x81\0\1"), MALFORMED
    yield "2.2.2.1", "properties longer than the packet", packet(3, 0, string("a") + varint(9)), MALFORMED
    yield "2.2.2-1", "no property length", packet(3, 0, string("a")), MALFORMED
    raw = publish(5, "a")
    yield "1.5.5-1", "remaining length too long", raw[:1] + bytes([raw[1] | 0x80, 0]) + raw[2:], MALFORMED
    yield "3.2.2-15", "larger than the maximum packet size", publish(5, "a", bytes(2 << 20)), TOO_LARGE
    yield "3.8.2.1.2", "subscription identifier 0", subscribe(5, 1, [("a", 0)], {"subscription_id": 0}), PROTOCOL
    yield "3.8.2.1.2", "subscription identifier twice", subscribe(5, 1, [("a", 0)], {"subscription_id": [1, 2]}), PROTOCOL
    yield "2.2.2.2", "content type in SUBSCRIBE", subscribe(5, 1, [("a", 0)], {"content_type": "x"}), MALFORMED
    yield "2.2.2.2", "subscription identifier in UNSUBSCRIBE", unsubscribe(5, 1, ["a"], {"subscription_id": 1}), MALFORMED
    yield "3.8.3.1", "retain handling 3", subscribe(5, 1, [("a", 0x30)]), PROTOCOL
    yield "3.8.3-4", "No Local on a shared subscription", subscribe(5, 1, [("$share/s/a", 0x04)]), PROTOCOL
    for kind, codes in ((PUBACK, (1, 0x11, 0x92, 0xFF)), (PUBREC, (1, 0x92)), (PUBREL, (0x10, 0x80)), (PUBCOMP, (0x10, 0x97))):
        for code in codes:
            yield "3.4.2-1 3.5.2-1 3.6.2-1 3.7.2-1", f"packet {kind} reason {code:#x}", ack(kind, 1, code), PROTOCOL
        yield "2.2.2.2", f"packet {kind} with a topic alias", ack(kind, 1, 0, {"topic_alias": 1}), MALFORMED
        yield "3.4.2", f"packet {kind} with two reason strings", ack(kind, 1, 0, {"reason_string": ["a", "b"]}), PROTOCOL
        yield "3.4.2", f"packet {kind} with more behind", packet(kind, 2 if kind == PUBREL else 0, b"\0\1\0\0x"), MALFORMED
    for code in (0x01, 0x18, 0x8B, 0x8E, 0x9C, 0x9D, 0xFF):
        yield "3.14.2-1", f"DISCONNECT reason {code:#x} is not a client's", disconnect(code), PROTOCOL
    yield "3.14.2.2.2", "a session that ends with the connection cannot be kept", disconnect(0, {"session_expiry": 5}), PROTOCOL
    yield "2.2.2.2", "server reference from a client", disconnect(0, {"server_reference": "x"}), MALFORMED
    yield "3.14.2.2.2", "session expiry twice", disconnect(0, {"session_expiry": [0, 0]}), PROTOCOL
    yield "3.15.1-1", "AUTH flags", packet(AUTH, 1, b""), MALFORMED
    yield "4.12.0-7 4.12.1-1", "AUTH without a method in CONNECT", packet(AUTH, 0, b"\x19" + properties({"auth_method": "x"})), PROTOCOL


ROWS = [(version, *row) for version in (4, 5) for row in rows(version)] + [(5, *row) for row in rows_5()]


@pytest.mark.parametrize("version,raw,reason", [(row[0], *row[3:]) for row in ROWS], ids=[f"{row[0]}: {row[2]}" for row in ROWS])
def test_connected(broker, version, raw, reason):
    """[MQTT-4.13.1-1], 3.1.1 [MQTT-4.8.0-1]: the connection ends; the will is published."""
    topic = broker.name("will")
    client = broker.client(version, will={"topic": topic, "payload": b"w"})
    client.send(raw)
    assert client.closed_with() == (reason if version == 5 else None)


def test_a_protocol_error_publishes_the_will(broker, version):
    """[MQTT-3.1.2-8]: any end but a DISCONNECT with reason 0."""
    topic = broker.name("will")
    watcher = broker.subscriber(version, topic)
    broker.client(version, will={"topic": topic, "payload": b"w"}).send("0000").closed()
    assert watcher.payloads(1) == ["w"]


@pytest.mark.parametrize("qos,answers", [(1, [PUBREC]), (1, [PUBCOMP]), (2, [PUBACK]), (2, [PUBCOMP]), (2, [PUBREC, PUBACK])])
def test_an_answer_of_the_wrong_kind(broker, version, qos, answers):
    topic = broker.name("t")
    client = broker.subscriber(version, topic)
    broker.client(version).publish(topic, b"x", qos)
    message = client.expect(3)
    client.send(*[ack(kind, message.packet_id) for kind in answers])
    found = client.closed()
    assert [item.type for item in found] == [PUBREL] * (len(answers) - 1) + [DISCONNECT] * (version == 5)
    assert version == 4 or found[-1].code == PROTOCOL
