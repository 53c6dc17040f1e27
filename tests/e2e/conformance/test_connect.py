"""CONNECT and CONNACK (sections 3.1 and 3.2), wills, keep alive, DISCONNECT."""
import time

import pytest

from packets import (CONNACK, DISCONNECT, PUBLISH, PUBREC, Client, Closed, ack, connect, disconnect, packet, publish, subscribe)

BOM = "\ufeff"


@pytest.mark.parametrize("level", [3, 4, 5])
def test_the_three_protocols_are_spoken(broker, level):
    client = broker.client(level)
    assert client.connack.session_present == 0
    topic = broker.name("t")
    assert client.subscribe(topic, qos=1) == [1]
    client.send(publish(level, topic, "x", 1, 9))
    found = [client.receive(), client.receive()]
    assert sorted(item.type for item in found) == [PUBLISH, 4]
    client.disconnect()


@pytest.mark.parametrize("client_id", ["a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ",
                                       "x" * 65, "ä/+#$ 日本", BOM])
def test_client_identifiers(broker, version, client_id):
    """[MQTT-3.1.3-5] and, which it need not, longer ones of any characters."""
    assert broker.client(version, client_id).ping() == []


def test_a_byte_order_mark_counts(broker, version):
    """[MQTT-1.5.4-3], 3.1.1 [MQTT-1.4.0-3]: identifiers, topics and filters with one are others."""
    name = broker.name()
    first, second = broker.client(version, name), broker.client(version, BOM + name)
    assert first.ping() == [] and second.ping() == []  # nobody has been taken over
    subscriber = broker.subscriber(version, name, qos=0)
    publisher = broker.client(version)
    publisher.publish(BOM + name, "with")
    publisher.publish(name, "without")
    assert subscriber.payloads(1) == ["without"]


def test_an_empty_client_identifier_gets_one(broker):
    """[MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]: assigned, told, new each time; the session can be found by it."""
    first = broker.client(5, "", props={"session_expiry": 60})
    second = broker.client(5, "", clean=False)
    names = [client.connack.props["assigned_client_id"] for client in (first, second)]
    assert all(names) and names[0] != names[1] and second.connack.session_present == 0
    first.disconnect()
    again = broker.client(5, names[0], clean=False)
    assert again.connack.session_present == 1 and "assigned_client_id" not in again.connack.props


def test_an_empty_client_identifier_in_3_1_1(broker):
    """3.1.1 [MQTT-3.1.3-6] [MQTT-3.1.3-7]: two at a time do not disturb each other."""
    clients = [broker.client(4, "") for _ in range(2)]
    assert [client.ping() for client in clients] == [[], []]


def test_a_client_is_taken_over(broker, version):
    """[MQTT-3.1.4-3], 3.1.1 [MQTT-3.1.4-2]; [MQTT-3.1.3-2]."""
    name = broker.name()
    first = broker.client(version, name)
    second = broker.client(version, name)
    assert first.closed_with() == (0x8E if version == 5 else None)
    assert second.ping() == []


def keep(version):
    """What makes a session outlive its connection."""
    return {"props": {"session_expiry": 60}} if version == 5 else {"clean": False}


def test_sessions_are_created_resumed_and_discarded(broker, version):
    """[MQTT-3.1.2-4] to [MQTT-3.1.2-6], [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-3.1.2-23] [MQTT-3.1.4-4] [MQTT-3.1.4-5]."""
    name, topic = broker.name(), broker.name("t")
    publisher = broker.client(version)

    def session_present(clean):
        client = broker.client(version, name, **{**keep(version), "clean": clean})
        publisher.publish(topic, "x", 1)
        hears = client.connack.session_present and [item.payload for item in client.messages(1)] == [b"x"]
        assert client.connack.session_present == bool(hears)
        if not hears:
            assert client.subscribe(topic, qos=1) == [1]
        client.disconnect()
        return client.connack.session_present
    assert session_present(False) == 0  # there is none
    assert session_present(False) == 1
    assert session_present(False) == 1
    assert session_present(True) == 0  # discarded
    assert session_present(False) == (0 if version == 4 else 1)  # a clean session of 3.1.1 ends with its connection


def test_a_clean_start_takes_no_subscription_over(broker, version):
    name, topic = broker.name(), broker.name("t")
    broker.client(version, name, **{**keep(version), "clean": False}).subscribe(topic)
    again = broker.client(version, name, clean=True)
    broker.client(version).publish(topic, "x", 1)
    again.subscribe(topic + "/marker")
    again.publish(topic + "/marker", "marker")
    assert again.payloads(1) == ["marker"]


def test_connack_says_what_the_broker_can(broker):
    """[MQTT-3.2.2-9] to [MQTT-3.2.2-15]: nothing is said where the default holds."""
    props = broker.client(5).connack.props
    assert props == {"receive_maximum": 1024, "maximum_packet_size": 2 << 20, "topic_alias_maximum": 16, "shared_available": 1,
                     "server_keep_alive": 60}
    assert "response_information" not in broker.client(5, props={"request_response": 0}).connack.props  # [MQTT-3.1.2-28]
    assert "auth_method" not in props  # [MQTT-4.12.0-6]


def test_the_session_expiry_is_capped_and_told(broker):
    week_s = 168 * 3600
    assert broker.client(5, props={"session_expiry": 0xFFFFFFFF}).connack.props["session_expiry"] == week_s
    assert "session_expiry" not in broker.client(5, props={"session_expiry": week_s}).connack.props


@pytest.mark.parametrize("wanted,told", [(0, 60), (59, None), (60, None), (61, 60), (120, 60), (65535, 60)])
def test_the_server_keep_alive_is_told(broker, wanted, told):
    """[MQTT-3.2.2-22] and section 3.2.2.3.14."""
    assert broker.client(5, keep_alive=wanted).connack.props.get("server_keep_alive") == told


def test_silent_clients_are_closed(broker):
    """[MQTT-3.1.2-22], 3.1.1 [MQTT-3.1.2-24]; the will goes out. Clients that ping stay."""
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic)
    silent = [broker.client(v, keep_alive=1, will={"topic": topic, "payload": f"{v}"}) for v in (3, 4, 5)]
    lively = [broker.client(v, keep_alive=1) for v in (4, 5)]
    began = time.monotonic()
    said = []
    while len(said) < 3:
        for client in lively:
            assert client.ping() == []
        said += [item for item in watcher.ping()]
        time.sleep(0.1)
    assert time.monotonic() - began > 1.3
    assert sorted(item.payload for item in said) == [b"3", b"4", b"5"]
    assert [client.closed_with() for client in silent] == [None, None, 0x8D]


def test_packets_behind_connect_need_not_wait_for_connack(broker, version):
    """Section 3.1.4: CONNACK comes first all the same [MQTT-3.2.0-1], and once [MQTT-3.2.0-2]."""
    topic = broker.name("t")
    client = broker.open(version)
    client.send(connect(broker.name(), version=version), subscribe(version, 1, [(topic, 1)]), publish(version, topic, "x", 1, 2))
    found = [client.receive() for _ in range(4)]
    assert [item.type for item in found[:2]] == [CONNACK, 9] and sorted(item.type for item in found[2:]) == [PUBLISH, 4]
    assert client.ping() == []


@pytest.mark.parametrize("size", [1, 2, 17])
def test_a_client_that_takes_no_connack_is_closed(broker, size):
    """[MQTT-3.1.2-24]."""
    assert broker.open().send(connect("a", props={"maximum_packet_size": size})).closed() == []


def test_no_answer_is_larger_than_the_client_takes(broker):
    """[MQTT-3.1.2-24]: SUBACK too."""
    client = broker.client(5, props={"maximum_packet_size": 30})
    assert client.subscribe(*[f"a{i}" for i in range(20)]) == [0] * 20
    client.send(subscribe(5, 9, [(f"b{i}", 0) for i in range(30)]))
    assert client.closed_with() == 0x95


def test_a_property_that_asks_for_problems_may_be_there(broker):
    """[MQTT-3.1.2-29]: no reason strings or user properties then; Weir sends none at all."""
    client = broker.client(5, props={"request_problem": 0, "request_response": 1, "user": [("a", "b"), ("a", "c")]})
    client.send(ack(PUBREC, 7))
    answer = client.receive()
    assert (answer.code, answer.props) == (0x92, {})


def test_user_name_and_password_may_be_empty(broker, version):
    assert broker.client(version, user="", password=b"\0\xff").ping() == []
    if version == 5:
        assert broker.client(5, password="only").ping() == []


# ---- wills ----

@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True], ids=["", "retained"])
def test_a_will_is_published_as_it_was_given(broker, version, qos, retain):
    """[MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14] [MQTT-3.1.2-15], 3.1.1 [MQTT-3.1.2-16] [MQTT-3.1.2-17]."""
    topic = broker.name("will")
    watcher = broker.subscriber(version, topic)
    broker.client(version, will={"topic": topic, "payload": b"\0w", "qos": qos, "retain": retain}).drop()
    heard = watcher.message()
    assert (heard.payload, heard.qos, heard.retain) == (b"\0w", qos, False)
    late = broker.client(version)
    late.subscribe((topic, 2))
    late.publish(topic, "marker")
    heard = late.message()
    assert (heard.payload, heard.retain) == ((b"\0w", True) if retain else (b"marker", False))


def test_a_will_of_no_bytes_is_a_will(broker, version):
    topic = broker.name("will")
    watcher = broker.subscriber(version, topic)
    broker.client(version, will={"topic": topic, "payload": b""}).drop()
    assert watcher.message().payload == b""


def test_a_normal_disconnect_discards_the_will(broker, version):
    """[MQTT-3.14.4-3] [MQTT-3.1.2-10]; the connection closes [MQTT-3.14.4-2]."""
    topic = broker.name("will")
    watcher = broker.subscriber(version, topic)
    broker.client(version, will={"topic": topic, "payload": b"not this"}).disconnect()
    if version == 5:
        broker.client(5, will={"topic": topic, "payload": b"not this"}).disconnect(0)
    watcher.publish(topic, "this")
    assert watcher.payloads(1) == ["this"]


@pytest.mark.parametrize("code", [0x04, 0x80, 0x81, 0x82, 0x83, 0x93, 0x97, 0x98])
def test_other_disconnects_publish_the_will(broker, code):
    """Section 3.14.2.1."""
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic)
    broker.client(5, will={"topic": topic, "payload": b"w"}).disconnect(code, {"reason_string": "so", "user": ("k", "v")})
    assert watcher.payloads(1) == ["w"]


def test_a_will_keeps_its_properties(broker):
    """Section 3.1.3.2; the delay is not passed on."""
    props = {"payload_format": 1, "message_expiry": 100, "content_type": "text/plain", "response_topic": "r",
             "correlation_data": b"\0c", "user": [("b", "1"), ("a", "2")]}
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic)
    broker.client(5, will={"topic": topic, "payload": b"w", "props": {"will_delay": 0, **props}}).drop()
    assert watcher.message().props == props


def test_after_disconnect_nothing_is_read(broker, version):
    """[MQTT-3.14.4-1]: what comes behind a DISCONNECT does not count."""
    topic = broker.name("t")
    watcher = broker.subscriber(version, topic)
    client = broker.client(version)
    client.send(packet(DISCONNECT, 0, b""), publish(version, topic, "not this"))
    assert client.closed() == []
    watcher.publish(topic, "this")
    assert watcher.payloads(1) == ["this"]


def test_a_redirected_client_would_be_told_but_none_may_redirect(broker):
    """Section 4.11: 0x9C, 0x9D and Server Reference are the server's alone."""
    for code in (0x9C, 0x9D):
        client = broker.client(5)
        client.send(disconnect(code))
        assert client.closed_with() == 0x82


def test_the_broker_says_good_bye(make_weir):
    """[MQTT-3.14.0-1] [MQTT-3.14.4-1] [MQTT-3.14.4-2]: 0x8B, without a session expiry [MQTT-3.14.2-2]."""
    weir = make_weir({"workers": 1, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]}, "web": {"bind": "127.0.0.1:0"}})
    old, new = Client(weir.port(), 4), Client(weir.port(), 5)
    old.connect("a")
    new.connect("b")
    assert weir.stop() == 0
    assert old.closed() == []
    (last,) = new.closed()
    assert (last.type, last.code, last.props) == (DISCONNECT, 0x8B, {})


def test_limits_of_the_configuration_are_announced(make_weir):
    """[MQTT-3.2.2-13] [MQTT-3.2.2-14] and section 3.2.2.3: each limit is told, and holds."""
    weir = make_weir({"workers": 1, "web": {"bind": "127.0.0.1:0"}, "mqtt": {
        "listeners": [{"bind": "127.0.0.1:0"}], "inflight_max": 3, "topic_alias_max": 0, "packet_bytes_max": "2KiB",
        "retained_max": 0, "session_expiry_max": "10s", "keep_alive_max": "30s"}})
    with Client(weir.port()) as client:
        props = client.connect("a", keep_alive=31, props={"session_expiry": 11}).props
        assert props == {"receive_maximum": 3, "maximum_packet_size": 2048, "retain_available": 0, "session_expiry": 10,
                         "server_keep_alive": 30, "shared_available": 1}
        client.send(publish(5, "t", "x", props={"topic_alias": 1}))
        assert client.closed_with() == 0x94
    for bad, code in ((publish(5, "t", bytes(2048)), 0x95), (publish(5, "t", "x", retain=True), 0x9A)):
        with Client(weir.port()) as client:
            client.connect("a")
            assert client.send(bad).closed_with() == code
    with Client(weir.port()) as client:
        client.connect("a")
        client.send(*[publish(5, "t", "x", 2, i) for i in range(1, 5)])
        assert [item.type for item in client.closed()] == [PUBREC] * 3 + [DISCONNECT]
    for version, code in ((5, 0x9A), (4, None)):
        with Client(weir.port(), version) as client:
            client.send(connect("a", version=version, will={"topic": "w", "retain": True}))
            assert [item.code for item in client.closed()] == ([code] if code else [])
    with pytest.raises(Closed), Client(weir.port(), 4) as client:
        client.connect("a")
        client.send(publish(4, "t", "x", 1, 1, retain=True))
        client.receive()
