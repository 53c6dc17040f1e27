"""Bytes under the packets: cut anyhow over TCP, and in WebSocket frames (section 6)."""
import asyncio

import pytest
import websockets

from packets import CONNACK, PUBLISH, SUBACK, Packet, connect, publish, subscribe


def test_bytes_may_come_one_by_one(broker, version):
    """[MQTT-4.2-1]."""
    topic = broker.name("t")
    client = broker.open(version)
    for byte in connect(broker.name(), version=version) + subscribe(version, 1, [(topic, 0)]) + publish(version, topic, "x"):
        client.send(bytes([byte]))
    assert [client.receive().type for _ in range(3)] == [CONNACK, SUBACK, PUBLISH]


def test_packets_may_come_all_at_once(broker, version):
    topic = broker.name("t")
    client = broker.open(version)
    client.send(connect(broker.name(), version=version) + subscribe(version, 1, [(topic, 0)])
                + b"".join(publish(version, topic, f"{i}") for i in range(1000)))
    found = [client.receive() for _ in range(1002)]
    assert [int(item.payload) for item in found[2:]] == list(range(1000))


def test_remaining_length_may_be_padded_before_5_0(broker):
    """3.1.1 does not forbid it, and some clients reserve the bytes."""
    raw = connect(broker.name(), version=4)
    client = broker.open(4)
    client.send(raw[:1] + bytes([raw[1] | 0x80, 0x80, 0x80, 0]) + raw[2:])
    assert client.expect(CONNACK).code == 0


# ---- WebSocket ----

def converse(broker, talk, **options):
    """Runs talk(socket) on a WebSocket with the sub-protocol "mqtt"."""
    async def run():
        options.setdefault("subprotocols", ["mqtt"])
        async with websockets.connect(broker.weir.url("/mqtt").replace("http", "ws", 1), compression=None, **options) as socket:
            return await asyncio.wait_for(talk(socket), 30)
    return asyncio.run(run())


async def hear(socket, version, count):
    """So many packets, from however many frames; all of them binary."""
    buffer, found = b"", []
    while len(found) < count:
        frame = await socket.recv()
        assert isinstance(frame, bytes)  # [MQTT-6.0.0-1]
        buffer += frame
        while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:  # these packets are short
            found.append(Packet(buffer[0], buffer[2:2 + buffer[1]], version))
            buffer = buffer[2 + buffer[1]:]
    return found


@pytest.mark.parametrize("cut", [1, 3, 7, 1000])
def test_frames_and_packets_have_nothing_to_do_with_each_other(broker, version, cut):
    """[MQTT-6.0.0-2] [MQTT-6.0.0-3] [MQTT-6.0.0-4]."""
    topic = broker.name("t")
    raw = connect(broker.name(), version=version) + subscribe(version, 1, [(topic, 0)]) + publish(version, topic, "x")

    async def talk(socket):
        assert socket.subprotocol == "mqtt"
        for at in range(0, len(raw), cut):
            await socket.send(raw[at:at + cut])
        return await hear(socket, version, 3)
    found = converse(broker, talk)
    assert [item.type for item in found] == [CONNACK, SUBACK, PUBLISH] and found[2].payload == b"x"


def test_a_text_frame_ends_the_connection(broker, version):
    """[MQTT-6.0.0-1]; as any end does, with the will."""
    topic = broker.name("will")
    watcher = broker.subscriber(version, topic)

    async def talk(socket):
        await socket.send(connect(broker.name(), version=version, will={"topic": topic, "payload": b"w"}))
        await hear(socket, version, 1)
        await socket.send("text")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
    converse(broker, talk)
    assert watcher.payloads(1) == ["w"]


def test_another_sub_protocol_is_not_spoken(broker):
    """[MQTT-6.0.0-4]."""
    async def talk(socket):
        return socket.subprotocol
    try:
        assert converse(broker, talk, subprotocols=["chat"]) is None
    except (websockets.InvalidHandshake, websockets.ConnectionClosed, OSError):
        pass



def test_a_large_message_passes(broker, version):
    topic = broker.name("t")
    watcher = broker.subscriber(version, topic, qos=0)

    async def talk(socket):
        await socket.send(connect(broker.name(), version=version))
        await hear(socket, version, 1)
        await socket.send(publish(version, topic, bytes(300000)))
        await socket.send(b"\xc0\0")
        await hear(socket, version, 1)
    converse(broker, talk)
    assert len(watcher.message().payload) == 300000
