"""What must not hurt: broken packets, wrong configuration, a full disk. A clear error, the right end, everyone else served."""
import os
import socket
import struct
import subprocess
import time

import pytest

from weir import PROGRAM, SANITIZED, pipeline, wait_for

MEMORY = pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the product's")
CONNECT = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab"
CONNECT5 = b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02ab"


def open_raw(weir, *data):
    connection = socket.create_connection(("127.0.0.1", weir.port()), timeout=10)
    for piece in data:
        connection.sendall(piece)
    return connection


def read_to_end(connection):
    received = b""
    while True:
        try:
            piece = connection.recv(4096)
        except ConnectionResetError:
            return received
        if not piece:
            return received
        received += piece


def publish_works(weir):
    return subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-m", "fine", "-q", "1"],
                          timeout=20).returncode == 0


BAD = {
    "no CONNECT first": b"\xc0\x00",
    "unknown protocol": b"\x10\x0e\x00\x04MQXX\x04\x02\x00\x3c\x00\x02ab",
    "reserved flags of CONNECT": b"\x11\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab",
    "300 MB length": b"\x32\xff\xff\xff\x8f\x01",
    "second CONNECT": CONNECT + CONNECT,
    "wildcard in a PUBLISH topic": CONNECT + b"\x30\x05\x00\x03a/+",
    "invalid UTF-8 topic": CONNECT + b"\x30\x05\x00\x03a\xff\xfe",
    "QoS 3": CONNECT + b"\x36\x05\x00\x01a\x00\x01",
    "length of five bytes": CONNECT + b"\x30\xff\xff\xff\xff\x01",
    "300 MB length after CONNECT": CONNECT + b"\x30\xff\xff\xff\x8f\x01" + b"x" * 100,
    "empty SUBSCRIBE": CONNECT + b"\x82\x02\x00\x01",
    "packet id 0": CONNECT + b"\x32\x05\x00\x01a\x00\x00",
    "topic longer than the packet": CONNECT + b"\x30\x05\x00\xffabc",
}


@pytest.mark.parametrize("name", BAD)
def test_broken_packets_end_their_own_connection_only(weir, name):
    bystander = open_raw(weir, CONNECT.replace(b"ab", b"by"))
    assert bystander.recv(4) == b"\x20\x02\x00\x00"
    connection = open_raw(weir, BAD[name])
    received = read_to_end(connection)
    assert received in (b"", b"\x20\x02\x00\x00", b"\x20\x02\x00\x01"), received
    bystander.sendall(b"\xc0\x00")
    assert bystander.recv(2) == b"\xd0\x00"
    assert publish_works(weir)


DISCONNECTS = {
    0x81: b"\x30\x06\x00\x03a/+\x00",
    0x94: b"\x30\x09\x00\x03a/b\x03\x23\xff\xff",
    0x95: b"\x30\xff\xff\xff\x7f",
    0x82: CONNECT5,
}


@pytest.mark.parametrize("code", DISCONNECTS, ids=hex)
def test_version_5_clients_are_told_why(weir, code):
    connection = open_raw(weir, CONNECT5, DISCONNECTS[code])
    received = read_to_end(connection)
    assert b"\xe0" in received
    disconnect = received[received.rindex(b"\xe0"):]
    assert disconnect[2] == code, disconnect.hex()


def test_half_packets_wait_and_then_end(make_weir):
    config = pipeline()
    config["mqtt"]["connect_timeout"] = "1s"
    weir = make_weir(config)
    half = open_raw(weir, CONNECT[:7])
    assert publish_works(weir)
    assert read_to_end(half) == b""
    slow = open_raw(weir)
    for byte in CONNECT:
        slow.sendall(bytes([byte]))
        time.sleep(0.005)
    assert slow.recv(4) == b"\x20\x02\x00\x00"


@MEMORY
def test_a_flood_of_unfinished_packets_costs_bounded_memory(weir):
    before = weir.metric("process_resident_memory_bytes")
    flood = [open_raw(weir, CONNECT.replace(b"ab", b"%02d" % i) + b"\x30\x80\x80\x40\x00\x01a" + b"x" * 1000) for i in range(90)]
    assert publish_works(weir)
    assert weir.metric("process_resident_memory_bytes") - before < 40e6
    for connection in flood:
        connection.close()


@MEMORY
def test_a_reader_that_stops_reading_slows_no_one(weir):
    stuck = open_raw(weir, CONNECT, b"\x82\x0a\x00\x01\x00\x05big/#\x00")
    before = weir.metric("process_resident_memory_bytes")
    payload = "x" * 60000
    script = "".join(f"{payload}\n" for _ in range(400))
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "big/x", "-l", "-q", "1"], input=script, text=True,
                   check=True, timeout=60)
    assert weir.metric("process_resident_memory_bytes") - before < 30e6
    assert publish_works(weir)
    stuck.close()


CONFIGS = {
    "streams: { s: { shard_cuont: 1 } }": ('weir.yaml:1:17: unknown key "shard_cuont"; did you mean "shard_count"?',),
    "streams: { s: { shard_count: many } }": ("weir.yaml:1:30:", "shard_count", "whole number"),
    "mqtt: { listeners: [ { bind: nowhere } ] }": ("weir.yaml:1:", "nowhere"),
    'mqtt: { listeners: [ { bind: "0.0.0.0:1883" } ] }': ("weir.yaml:1:", "anonymous: true"),
    'mqtt: { listeners: [ { bind: "0.0.0.0:1883", anonymous: true } ] }': ("weir.yaml:1:", "plaintext"),
    'web: { bind: "0.0.0.0:8080" }': ("weir.yaml:1:", "plaintext"),
    "rules: { r: { sql: \"SELECT * FORM 'a'\", actions: [] } }": ("weir.yaml:1:", "rule r", "sql 1:10"),
    "rules: { r: { sql: \"SELECT * FROM 'a'\", actions: [ { kinesis: { stream_name: none } } ] } }": ("none",),
    "event_source_mappings: [ { stream: s, function: f, starting_position: LATEST } ]": ("weir.yaml:1:", 'no stream "s"'),
    "api: { bind: \"127.0.0.1:4566\" }": ("weir.yaml:1:6: api:",),
    "a: [1": ("weir.yaml:", "YAML"),
    "sync: sometimes": ("weir.yaml:1:7: sync:",),
}


@pytest.mark.parametrize("text", CONFIGS)
def test_wrong_configuration_says_where_and_what(tmp_path, text):
    (tmp_path / "weir.yaml").write_text(text)
    for command in (["check", "weir.yaml"], ["run", "-c", "weir.yaml"]):
        result = subprocess.run([PROGRAM, *command], cwd=tmp_path, capture_output=True, text=True, timeout=20)
        assert result.returncode == 1, result
        for part in CONFIGS[text]:
            assert part in result.stderr, result.stderr


def test_a_data_directory_has_one_weir(weir):
    result = subprocess.run([PROGRAM, "run", "-c", weir.config_path], cwd=weir.directory, capture_output=True, text=True, timeout=20)
    assert result.returncode == 1 and "another weir runs" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_refuses_and_recovers(make_weir):
    """Publishers are told, what was acknowledged is there, readers go on; with space again it goes on without a restart."""
    weir = make_weir(pipeline(functions=None, event_source_mappings=None), start=False)
    disk = weir.path("data")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk]).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        fill_and_recover(weir, disk)
    finally:
        if weir.process:
            weir.stop()
        subprocess.run(["umount", "-l", disk], check=True)


def fill_and_recover(weir, disk):
    weir.start()
    assert publish_works(weir)
    ballast = os.path.join(disk, "ballast")
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass
    acknowledged, payload = 0, b"p" * 50000
    while (reason := puback_reason(weir, payload)) == 0 and acknowledged < 2000:
        acknowledged += 1
    assert reason == 0x97, reason
    assert len(weir.stream_records()) == acknowledged + 1
    assert "space" in weir.log()
    os.unlink(ballast)
    wait_for(lambda: publish_works(weir) and puback_reason(weir, b"again") == 0, what="writing again")
    records = weir.stream_records()
    assert sum(record["data"] == "again" for record in records) >= 1
    assert weir.stop() == 0


def puback_reason(weir, payload):
    """Publishes with QoS 1 as a 5.0 client; the reason code of PUBACK, or -1 when the connection was closed."""
    topic = b"topic/sensors"
    body = struct.pack(">H", len(topic)) + topic + b"\x00\x07\x00" + payload
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if not rest:
            break
    connection = open_raw(weir, CONNECT5, b"\x32" + length + body)
    received = b""
    try:
        while True:
            head = received.find(b"\x40")
            if head >= 0 and len(received) >= head + 2 and len(received) >= head + 2 + received[head + 1]:
                return received[head + 4] if received[head + 1] > 2 else 0
            piece = connection.recv(4096)
            if not piece:
                return -1
            received += piece
    finally:
        connection.close()
