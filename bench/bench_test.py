"""The load generator and the floor agree on what was sent, answered, delivered and logged, in every mode.

Both count on their own; neither sees the other's figures. WEIR_BENCH_DIR names the folder of the two programs.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess

import pytest

import compare
import report

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.environ.get("WEIR_BENCH_DIR", os.path.join(HERE, "..", "build", "release", "bench"))
FLOOR = os.path.join(BINARIES, "weir_floor")
LOAD = os.path.join(BINARIES, "weir_load")

CONNECT_V4 = bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 61")
CONNECT_V5 = bytes.fromhex("100e 0004 4d515454 05 02 003c 00 0001 61")


class Floor:
    def __init__(self, *args):
        self.process = subprocess.Popen([FLOOR, *args], stdout=subprocess.PIPE, text=True)
        word, port = self.process.stdout.readline().split()
        assert word == "ready"
        self.port = int(port)

    def load(self, *args):
        done = subprocess.run(
            [LOAD, "--port", str(self.port), "--server-pid", str(self.process.pid), *args],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counts(self):
        """Ends the server and returns what it has counted."""
        self.process.send_signal(signal.SIGTERM)
        text = self.process.communicate(timeout=10)[0]
        assert self.process.returncode == 0
        return json.loads(text)

    def dial(self, connect=CONNECT_V4):
        """A connection by hand, past its CONNACK."""
        peer = socket.create_connection(("127.0.0.1", self.port), 5)
        peer.sendall(connect)
        connack = peer.recv(64)
        assert connack[0] == 0x20
        return peer


def test_a_multiple_is_taken_within_each_round():
    plain, durable = compare.SCENARIOS["qos1-fanin-w100"], compare.SCENARIOS["qos1-durable-w100"]
    figures = {"messages_per_second": 1, "load_cpu_us": 1}
    results = {plain.name: [{"weir": figures | {"server_cpu_us": cpu}} for cpu in (0.1, 0.2, 0.4)],
               durable.name: [{"weir": figures | {"server_cpu_us": cpu}} for cpu in (0.3, 0.2, 0.8)]}
    head, _, row = report.table(durable, results, ["weir"]).split("\n")
    assert head.split(" | ")[3] == "times qos1-fanin-w100"
    assert row.split(" | ")[3] == "2.00 (1.00-3.00)"
    assert "times" not in report.table(plain, results, ["weir"])


@contextlib.contextmanager
def floor(*args):
    server = Floor(*args)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.process.stdout.close()


@pytest.mark.parametrize("mqtt", ["4", "5"])
@pytest.mark.parametrize("batch", ["1", "32"])
def test_qos0_ends_with_every_message_counted(mqtt, batch):
    with floor() as server:
        result = server.load("--mqtt", mqtt, "--count", "10007", "--publishers", "7", "--batch", batch)
        counts = server.counts()
    assert result["messages"] == result["sent_total"] == counts["publishes"] == 10007
    assert counts["connects"] == 7
    assert counts["acks"] == result["acked"] == 0
    assert "puback_p50_us" not in result


@pytest.mark.parametrize("mqtt", ["4", "5"])
@pytest.mark.parametrize("window,batch", [("1", "1"), ("100", "100"), ("10", "32"), ("7", "3")])
def test_qos1_ends_with_every_message_acknowledged(mqtt, window, batch):
    with floor() as server:
        result = server.load("--mqtt", mqtt, "--qos", "1", "--count", "20011", "--publishers", "9",
                             "--window", window, "--batch", batch)
        counts = server.counts()
    assert result["acked"] == counts["acks"] == counts["publishes"] == 20011
    assert 0 < result["puback_p50_us"] <= result["puback_p99_us"]


def test_packet_ids_begin_anew_after_the_last():
    with floor() as server:
        result = server.load("--qos", "1", "--count", "140000", "--publishers", "1", "--window", "500",
                             "--batch", "100")
    assert result["acked"] == 140000


def test_more_connections_than_messages():
    with floor() as server:
        result = server.load("--qos", "1", "--count", "3", "--publishers", "20")
        assert result["acked"] == server.counts()["publishes"] == 3


def test_calibration_counts_too():
    with floor() as server:
        result = server.load("--qos", "1", "--seconds", "0.2")
        counts = server.counts()
    assert result["messages"] < result["sent_total"]
    assert result["sent_total"] == result["acked_total"] == counts["publishes"] == counts["acks"]


@pytest.mark.parametrize("sync", [[], ["--sync"]])
def test_log_holds_every_acknowledged_payload(tmp_path, sync):
    log = tmp_path / "log"
    with floor("--log", str(log), *sync) as server:
        result = server.load("--qos", "1", "--count", "5000", "--payload-bytes", "120")
        counts = server.counts()
    assert result["acked"] == 5000
    assert counts["logged_bytes"] == log.stat().st_size == 5000 * 120
    assert (counts["syncs"] > 0) == bool(sync)
    payload = log.read_bytes()[:120]
    assert json.loads(payload)["temp"] == 21.5


@pytest.mark.parametrize("mqtt", ["4", "5"])
@pytest.mark.parametrize("qos,subscriber_qos", [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")])
def test_every_subscriber_gets_every_message(mqtt, qos, subscriber_qos):
    with floor("--forward") as server:
        result = server.load("--mqtt", mqtt, "--count", "4001", "--publishers", "3", "--subscribers", "5",
                             "--qos", qos, "--subscriber-qos", subscriber_qos, "--ahead", "100")
        counts = server.counts()
    both = qos == subscriber_qos == "1"
    assert result["received"] == counts["deliveries"] == 4001 * 5
    assert result["acked"] == (4001 if qos == "1" else 0)
    assert counts["subscriber_acks"] <= (4001 * 5 if both else 0)


def test_big_payloads_fill_sockets_and_still_arrive():
    with floor("--forward") as server:
        result = server.load("--count", "3000", "--publishers", "4", "--subscribers", "3", "--qos", "1",
                             "--subscriber-qos", "1", "--payload-bytes", "30000", "--ahead", "400")
        counts = server.counts()
    assert result["received"] == counts["deliveries"] == 9000
    assert result["acked"] == 3000


@pytest.mark.parametrize("qos", ["0", "1"])
def test_paced_messages_arrive_once_and_none_before_it_is_due(qos):
    with floor("--forward") as server:
        result = server.load("--count", "500", "--rate", "5000", "--publishers", "3", "--subscribers", "2",
                             "--qos", qos, "--subscriber-qos", qos)
        counts = server.counts()
    assert result["received"] == counts["deliveries"] == 1000
    assert result["seconds"] >= 499 / 5000
    assert 0 < result["delivery_p50_us"] < 60e6


def test_paced_without_subscriber_ends_with_pings():
    with floor() as server:
        result = server.load("--count", "200", "--rate", "10000", "--publishers", "2")
        assert server.counts()["publishes"] == result["messages"] == 200


def test_subscriber_whose_filter_does_not_match_gets_nothing():
    with floor("--forward") as server, server.dial() as peer:
        peer.sendall(bytes.fromhex("8206 0001 0001 62 00"))
        assert peer.recv(64) == bytes.fromhex("9003 0001 00")
        server.load("--count", "10", "--subscribers", "1")
        peer.sendall(b"\xc0\x00")
        assert peer.recv(64) == b"\xd0\x00"
        assert server.counts()["deliveries"] == 10


def test_packets_may_come_byte_by_byte():
    with floor() as server, server.dial(CONNECT_V5) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in bytes.fromhex("3207 0001 61 1234 00 78 c000"):
            peer.sendall(bytes([byte]))
        answer = peer.recv(4, socket.MSG_WAITALL) + peer.recv(2, socket.MSG_WAITALL)
        assert answer == bytes.fromhex("4002 1234 d000")
        assert server.counts()["publishes"] == 1


@pytest.mark.parametrize("packet", [
    "30ffffffffff", "3001 00", "3003 0002 61", "3203 0001 61",
    "3609 0001 61 0001 78787878", "8203 0001 00", "2002 0000", "1002 0000"])
def test_malformed_packet_closes_its_connection_alone(packet):
    with floor() as server, server.dial() as peer, server.dial() as other:
        peer.sendall(bytes.fromhex(packet))
        assert peer.recv(64) == b""
        other.sendall(b"\xc0\x00")
        assert other.recv(64) == b"\xd0\x00"


@contextlib.contextmanager
def fake_server(*args):
    """The load generator with one QoS 1 publisher, and the server's end of its connection, past the CONNACK."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        load = subprocess.Popen(
            [LOAD, "--port", str(listener.getsockname()[1]), "--qos", "1", "--publishers", "1", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peer, _ = listener.accept()
        with load, peer:
            peer.recv(64)
            peer.sendall(bytes.fromhex("20020000"))
            peer.settimeout(0.3)
            yield load, peer
            load.communicate(timeout=30)


def publish_count(peer, topic=b"sensors/0/temp"):
    """How many publishes have arrived when nothing has come for a while."""
    data = b""
    with contextlib.suppress(TimeoutError):
        while chunk := peer.recv(65536):
            data += chunk
    return data.count(topic)


def pubacks(first, last):
    return b"".join(b"\x40\x02" + i.to_bytes(2, "big") for i in range(first, last + 1))


def test_generator_refuses_a_server_that_acknowledges_out_of_order():
    with fake_server("--count", "2") as (load, peer):
        assert publish_count(peer) == 2
        peer.sendall(pubacks(2, 2) + pubacks(1, 1))
        assert "not the next one" in load.stderr.read()
    assert load.returncode == 1


def test_window_bounds_what_is_unacknowledged_and_refill_what_is_worth_a_write():
    with fake_server("--count", "30", "--window", "12", "--refill", "5") as (load, peer):
        assert publish_count(peer) == 12
        peer.sendall(pubacks(1, 4))
        assert publish_count(peer) == 0
        peer.sendall(pubacks(5, 5))
        assert publish_count(peer) == 5
        peer.sendall(pubacks(6, 17))
        assert publish_count(peer) == 12
        peer.sendall(pubacks(18, 29))
        assert publish_count(peer) == 1
        peer.sendall(pubacks(30, 30))
        assert json.loads(load.stdout.read())["acked"] == 30


def test_latency_counts_from_the_write():
    with fake_server("--count", "2", "--window", "1", "--batch", "1") as (load, peer):
        assert publish_count(peer) == 1  # takes 0.3 s
        peer.sendall(pubacks(1, 1))
        assert publish_count(peer) == 1
        peer.sendall(pubacks(2, 2))
        result = json.loads(load.stdout.read())
    assert result["puback_p50_us"] >= 0.98 * 300e3
