"""kill -9 at random moments under load, with restarts in between: what was acknowledged is in the stream, in the bucket exactly once, and counted once."""
import os
import random
import socket
import struct
import threading
import time
from collections import Counter

from weir import free_port, pipeline, wait_for

PUBLISHERS = 100
ROUNDS = int(os.environ.get("WEIR_KILL_ROUNDS", "20"))
WINDOW = 20


class Publisher(threading.Thread):
    """A raw MQTT 3.1.1 client that publishes numbered readings with QoS 1 and remembers which were acknowledged. A reading that was
    sent and not acknowledged is not sent again: it may be in the stream or not."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self.number, self.port = number, port
        self.sent, self.next = {}, 0
        self.acknowledged = []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                    self.session(connection)
            except OSError:
                self.stopping.wait(0.02)
            self.sent.clear()

    def session(self, connection):
        client_id = f"p{self.number}".encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack(">H", len(client_id)) + client_id
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        received = b""
        while len(received) < 4:
            piece = connection.recv(4096)
            if not piece:
                return
            received += piece
        received = received[4:]
        while not self.stopping.is_set():
            self.publish(connection)
            piece = connection.recv(4096)
            if not piece:
                return
            received = self.take_pubacks(received + piece)
        connection.settimeout(2)
        while self.sent:
            piece = connection.recv(4096)
            if not piece:
                return
            received = self.take_pubacks(received + piece)

    def publish(self, connection):
        frames = []
        while len(self.sent) < WINDOW:
            self.next += 1
            packet_id = self.next % 65535 + 1
            payload = f"{self.number}:{self.next}"
            topic = b"topic/sensors"
            body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id) + payload.encode()
            frames.append(b"\x32" + bytes([len(body)]) + body)
            self.sent[packet_id] = payload
        connection.sendall(b"".join(frames))
        time.sleep(0.005)

    def take_pubacks(self, data):
        while len(data) >= 4:
            assert data[0] == 0x40 and data[1] == 2, data[:8].hex()
            self.acknowledged.append(self.sent.pop(struct.unpack(">H", data[2:4])[0]))
            data = data[4:]
        return data


def fixed_port_config(port, web):
    config = pipeline(mqtt={"listeners": [{"bind": f"127.0.0.1:{port}"}]}, web={"bind": f"127.0.0.1:{web}"})
    config["delivery_streams"]["sensors"].update(buffer_size="64KiB", buffer_interval="1s")
    config["event_source_mappings"][0]["batch_size"] = 1000
    return config


def test_nothing_acknowledged_is_lost_and_nothing_delivered_twice(make_weir):
    port, web = free_port(), free_port()
    weir = make_weir(fixed_port_config(port, web))
    publishers = [Publisher(number, port) for number in range(PUBLISHERS)]
    for publisher in publishers:
        publisher.start()
    seed = int(os.environ.get("WEIR_SEED", str(random.randrange(1 << 30))))
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        time.sleep(chance.uniform(0.05, 1.2))
        weir.kill()
        weir.start()
    time.sleep(1)
    for publisher in publishers:
        publisher.stopping.set()
    for publisher in publishers:
        publisher.join(20)
        assert not publisher.is_alive()
    check(weir, publishers)


def check(weir, publishers):
    acknowledged = [payload for publisher in publishers for payload in publisher.acknowledged]
    records = weir.stream_records()
    data = [record["data"] for record in records]
    print(len(acknowledged), "acknowledged,", len(data), "records")
    assert len(acknowledged) > 1000
    missing = set(acknowledged) - set(data)
    assert not missing, f"{len(missing)} acknowledged readings are not in the stream, e.g. {sorted(missing)[:5]}"
    assert len({record["sequence_number"] for record in records}) == len(records)
    twice = [payload for payload, count in Counter(data).items() if count > 1]
    assert not twice, f"published once, stored twice: {twice[:5]}"
    check_order(data)
    check_bucket(weir, set(acknowledged))
    wait_for(lambda: int(weir.redis().get("sensorCount")) == len(records), timeout_s=60,
             what=f"sensorCount to be {len(records)}")
    time.sleep(1)
    assert int(weir.redis().get("sensorCount")) == len(records)
    assert weir.stop() == 0


def check_order(data):
    last = {}
    for payload in data:
        number, count = map(int, payload.split(":"))
        assert count > last.get(number, 0), f"publisher {number}: {count} after {last[number]}"
        last[number] = count


def check_bucket(weir, acknowledged):
    """Every acknowledged reading is in exactly one object; within an object the order of each publisher is kept."""
    wait_for(lambda: weir.metric("weir_delivery_lag_records") == 0, timeout_s=60, what="all delivered")
    objects = [content.decode().split("\n")[:-1] for _, content in weir.bucket_objects()]
    counts = Counter(line for lines in objects for line in lines)
    missing = acknowledged - set(counts)
    assert not missing, f"{len(missing)} acknowledged readings are not in the bucket, e.g. {sorted(missing)[:5]}"
    assert max(counts.values()) == 1, [line for line, count in counts.items() if count > 1][:5]
    for lines in objects:
        check_order(lines)
