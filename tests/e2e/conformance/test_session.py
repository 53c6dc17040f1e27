"""What outlives a connection (sections 3.1.2.11.2, 3.1.3.2.2, 4.1, 4.4, 4.5): sessions, what waits in them, delayed wills."""
import time

import pytest

from packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, ack, disconnect, publish


def keep(version, seconds=60):
    return {"clean": False, "props": {"session_expiry": seconds}} if version == 5 else {"clean": False}


def test_messages_wait_for_a_client_that_is_away(broker, version):
    """[MQTT-4.5.0-1], 3.1.1 [MQTT-3.1.2-5]: QoS 1 and 2, in order."""
    name, topic = broker.name(), broker.name("t")
    broker.subscriber(version, topic, client_id=name, **keep(version)).disconnect()
    publisher = broker.client(version)
    for i in range(20):
        publisher.publish(topic, f"{i}", 1 + i % 2)
    again = broker.client(version, name, **keep(version))
    assert again.connack.session_present == 1
    heard = again.messages(20)
    assert [int(item.payload) for item in heard] == list(range(20))
    assert all(item.qos == 1 + int(item.payload) % 2 and not item.dup for item in heard)
    publisher.publish(topic, "end", 1)
    assert again.payloads(1) == ["end"]


def test_what_was_not_acknowledged_comes_again(broker, version):
    """[MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6], 3.1.1 [MQTT-4.4.0-1] [MQTT-4.6.0-1].

    In the same order, with the same identifiers and DUP; what has got its PUBREC as a PUBREL."""
    name, topic = broker.name(), broker.name("t")
    client = broker.subscriber(version, topic, client_id=name, **keep(version))
    publisher = broker.client(version)
    for i, qos in enumerate((1, 2, 2, 1, 1)):
        publisher.publish(topic, f"{i}", qos)
    first = [client.expect(PUBLISH) for _ in range(5)]
    client.send(ack(PUBACK, first[3].packet_id), ack(PUBREC, first[2].packet_id))
    assert client.expect(PUBREL).packet_id == first[2].packet_id
    assert client.ping() == []  # nothing comes again on this connection
    client.drop()
    again = broker.client(version, name, **keep(version))
    found = [again.receive() for _ in range(4)]
    assert [(item.type, item.packet_id) for item in found] == [
        (PUBLISH, first[0].packet_id), (PUBLISH, first[1].packet_id), (PUBREL, first[2].packet_id), (PUBLISH, first[4].packet_id)]
    assert all((item.dup, item.payload, item.qos) == (True, b"%d" % i, first[i].qos)
               for i, item in zip((0, 1, 4), [item for item in found if item.type == PUBLISH]))
    again.acknowledge(found[0])
    again.acknowledge(found[1])
    again.send(ack(PUBCOMP, first[2].packet_id))
    again.acknowledge(found[3])
    assert again.ping() == []
    again.drop()
    assert broker.client(version, name, **keep(version)).ping() == []


def test_a_repetition_on_the_next_connection_is_no_new_message(broker, version):
    """[MQTT-4.3.3-10]: the identifiers of QoS 2 messages that were not released are part of the session."""
    name, topic = broker.name(), broker.name("t")
    watcher = broker.subscriber(version, topic)
    client = broker.client(version, name, **keep(version))
    client.send(publish(version, topic, "once", 2, 77))
    client.expect(PUBREC)
    client.drop()
    again = broker.client(version, name, **keep(version))
    again.send(publish(version, topic, "once", 2, 77, dup=True))
    assert again.expect(PUBREC).packet_id == 77
    again.send(ack(PUBREL, 77))
    assert again.expect(PUBCOMP).code == 0
    again.publish(topic, "end", 1)
    assert watcher.payloads(2) == ["once", "end"]


def test_a_taken_over_session_goes_on(broker, version):
    """[MQTT-3.1.4-3] [MQTT-3.1.2-5]."""
    name, topic = broker.name(), broker.name("t")
    publisher = broker.client(version)
    client = broker.subscriber(version, topic, client_id=name, **keep(version))
    for i in range(6):
        publisher.publish(topic, f"{i}", 1)
        client = broker.client(version, name, **keep(version))
        assert client.connack.session_present == 1
    heard = client.payloads(6)
    assert heard == [f"{i}" for i in range(6)]


def test_sessions_of_old_and_new_clients_are_one(broker):
    """A client may change its version; subscriptions and messages stay."""
    name, topic = broker.name(), broker.name("t")
    broker.subscriber(4, topic, client_id=name, **keep(4)).disconnect()
    broker.client(5).publish(topic, "x", 1, props={"content_type": "c"})
    again = broker.client(5, name, **keep(5))
    assert again.connack.session_present == 1 and again.message().props == {"content_type": "c"}
    again.disconnect()
    broker.client(5).publish(topic, "y", 1, props={"content_type": "c"})
    assert broker.client(4, name, **keep(4)).payloads(1) == ["y"]


# ---- the end of sessions ----

def test_sessions_expire(broker):
    """[MQTT-3.1.2-23] [MQTT-4.1.0-2] [MQTT-4.1.0-1]; section 3.14.2.2.2: DISCONNECT may say otherwise."""
    def began(seconds, last=None):
        name = broker.name()
        client = broker.client(5, name, clean=False, props={"session_expiry": seconds})
        client.disconnect(*(() if last is None else (0, {"session_expiry": last})))
        return name
    names = {"1 s": began(1), "60 s": began(60), "1 s, then 60 s": began(1, 60), "60 s, then 0": began(60, 0), "0": began(0),
             "60 s, then 1 s": began(60, 1), "never": began(0xFFFFFFFF), "0 s, then 0 s": began(0, 0)}
    connected = broker.client(5, broker.name(), clean=False, props={"session_expiry": 1})
    absent = broker.name()
    broker.client(5, absent, clean=False).disconnect()  # the default is 0

    def present(name):
        client = broker.client(5, name, clean=False, props={"session_expiry": 60})
        client.drop()
        return client.connack.session_present
    at_once = {what: present(names[what]) for what in ("60 s, then 0", "0", "0 s, then 0 s")}
    assert set(at_once.values()) == {0} and present(absent) == 0
    time.sleep(4.5)
    later = {what: present(names[what]) for what in ("1 s", "60 s, then 1 s", "60 s", "1 s, then 60 s", "never")}
    assert later == {"1 s": 0, "60 s, then 1 s": 0, "60 s": 1, "1 s, then 60 s": 1, "never": 1}
    assert connected.ping() == []


def test_retained_messages_are_no_part_of_a_session(broker, version):
    """3.1.1 [MQTT-3.1.2-7]."""
    name, topic = broker.name(), broker.name("r")
    client = broker.client(version, name)
    client.publish(topic, "x", 1, retain=True)
    client.disconnect()
    client = broker.client(version, name)
    client.subscribe((topic, 1))
    assert client.payloads(1) == ["x"]


# ---- delayed wills ----

def delayed(seconds, topic):
    return {"topic": topic, "payload": b"will", "qos": 1, "props": {"will_delay": seconds}}


def test_a_delayed_will_waits(broker):
    """[MQTT-3.1.2-8]: until its delay has passed, or the session ends if that is earlier."""
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic + "/#")
    for seconds, expiry in ((1, 60), (60, 1), (60, 0)):
        broker.client(5, clean=False, props={"session_expiry": expiry}, will=delayed(seconds, f"{topic}/{seconds}/{expiry}")).drop()
    began = time.monotonic()
    assert watcher.message().topic == f"{topic}/60/0"  # at once
    assert {item.topic for item in watcher.messages(2)} == {f"{topic}/1/60", f"{topic}/60/1"}
    assert time.monotonic() - began > 0.9


def test_a_client_that_comes_back_has_no_will_published(broker):
    """[MQTT-3.1.3-9]; a clean start ends the session, so the will is due; DISCONNECT with 0x04 asks for it, after the delay."""
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic + "/#")
    names = [broker.name() for _ in range(3)]
    for name, last in zip(names, (None, None, 0x04)):
        client = broker.client(5, name, will=delayed(1, f"{topic}/{name}"), **keep(5))
        client.drop() if last is None else client.disconnect(last)
    assert broker.client(5, names[0], **keep(5)).connack.session_present == 1
    assert broker.client(5, names[1], clean=True).connack.session_present == 0
    assert watcher.message().topic == f"{topic}/{names[1]}"
    assert watcher.message().topic == f"{topic}/{names[2]}"
    watcher.publish(topic + "/end", "end")
    assert watcher.payloads(1) == ["end"]


def test_a_normal_disconnect_discards_a_delayed_will(broker):
    """[MQTT-3.14.4-3]."""
    topic = broker.name("will")
    watcher = broker.subscriber(5, topic)
    client = broker.client(5, will=delayed(1, topic), **keep(5))
    client.disconnect()
    other = broker.client(5, will=delayed(0, topic), **keep(5))
    other.drop()
    assert watcher.payloads(1) == ["will"]
    time.sleep(1.5)
    assert watcher.ping() == []


def test_disconnect_may_not_bring_a_session_to_life(broker):
    """Section 3.14.2.2.2."""
    client = broker.client(5)
    client.send(disconnect(0, {"session_expiry": 1}))
    assert client.closed_with() == 0x82


@pytest.mark.parametrize("rounds", [3])
def test_many_messages_wait_and_arrive_in_order(broker, version, rounds):
    name, topic = broker.name(), broker.name("t")
    broker.subscriber(version, topic, client_id=name, **keep(version)).disconnect()
    publisher = broker.client(version)
    for turn in range(rounds):
        publisher.send(*[publish(version, topic, f"{turn}/{i}", 1, i + 1) for i in range(100)])
        for _ in range(100):
            publisher.expect(PUBACK)
        client = broker.client(version, name, **keep(version))
        assert client.payloads(100) == [f"{turn}/{i}" for i in range(100)]
        client.disconnect()
