"""kill -9 at random moments while devices with stored sessions publish and subscribe: what was acknowledged arrives, of QoS 2 exactly once, in the
order of its publisher; subscriptions and retained messages stay; members of a share may leave."""
import os
import random
import socket
import struct
import threading
import time
from collections import Counter

from weir import free_port, wait_for

ROUNDS = int(os.environ.get("WEIR_SESSION_KILL_ROUNDS", "3"))
WINDOW = 10
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 2, 3, 4, 5, 6, 7, 9


STATE = {}
def text(value):
    value = value.encode()
    return struct.pack(">H", len(value)) + value


def packet(head, body):
    length, left = b"", len(body)
    while True:
        length += bytes([left % 128 | (128 if left > 127 else 0)])
        left //= 128
        if not left:
            return bytes([head]) + length + body


def ack(kind, packet_id):
    return bytes([kind << 4 | (2 if kind == PUBREL else 0), 2]) + struct.pack(">H", packet_id)


class Device(threading.Thread):
    """An MQTT 3.1.1 client with a stored session. What a client has to remember it remembers, whatever happens to its connections."""

    def __init__(self, name, port, seed, restless=0.0, subscriptions=()):
        super().__init__(daemon=True, name=name)
        self.port, self.chance, self.restless = port, random.Random(f"{seed}{name}"), restless
        self.subscriptions = list(subscriptions)
        self.subscribed = not self.subscriptions
        self.had_session = False
        self.clean_once = False
        self.unreleased, self.arrived, self.errors = set(), [], []
        self.waiting, self.next_id = {}, 0  # packet id: (topic, payload, qos) that is unacknowledged, in order; payload None: PUBREL was sent
        self.acknowledged = []
        self.stopping, self.online = threading.Event(), False
        self.quiet = threading.Event()
        self.paused = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            if self.paused.is_set():
                self.stopping.wait(0.02)
                continue
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    self.serve(connection)
            except OSError:
                self.stopping.wait(0.02)
            except AssertionError as error:
                self.errors.append(f"{self.name}: {error}")
                return
            finally:
                self.online = False

    def serve(self, connection):
        connection.sendall(packet(0x10, b"\x00\x04MQTT\x04" + (b"\x02" if self.clean_once else b"\x00") + b"\x00\x3c" + text(self.name)))
        connection.settimeout(0.02)
        data, ends = b"", time.monotonic() + (self.chance.uniform(0.05, 0.6) if self.restless else 1e9)
        while not self.stopping.is_set() and not self.paused.is_set():
            try:
                piece = connection.recv(65536)
                if not piece:
                    return
                data += piece
            except TimeoutError:
                pass
            out = []
            data = self.take(data, out)
            if self.online:
                self.publish(out)
            if out:
                connection.sendall(b"".join(out))
            if time.monotonic() > ends and not self.quiet.is_set() and self.subscribed:
                connection.close()
                self.stopping.wait(self.chance.uniform(0, self.restless))
                return

    def take(self, data, out):
        while len(data) >= 2:
            length, at, shift = 0, 1, 0
            while at < len(data) and at < 5:
                length |= (data[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if data[at - 1] < 128:
                    break
            else:
                return data
            if len(data) < at + length:
                return data
            self.handle(data[0], data[at:at + length], out)
            data = data[at + length:]
        return data

    def handle(self, head, body, out):
        kind = head >> 4
        if kind == CONNACK:
            self.connected(body, out)
        elif kind == SUBACK:
            assert 0x80 not in body[2:], "subscription refused"
            self.subscribed = True
        elif kind == PUBLISH:
            self.receive(head, body, out)
        elif kind == PUBREL:
            self.unreleased.discard(body)
            out.append(ack(PUBCOMP, struct.unpack(">H", body)[0]))
        else:
            self.answered(kind, struct.unpack(">H", body[:2])[0], out)

    def connected(self, body, out):
        assert body[1] == 0, f"refused: {body[1]}"
        if self.clean_once:
            self.had_session = self.clean_once = False
            self.stopping.set()
            return
        assert body[0] == 1 or not self.had_session, "the session is lost"
        self.had_session = self.online = True
        if not self.subscribed:
            filters = b"".join(text(name) + bytes([qos]) for name, qos in self.subscriptions)
            out.append(packet(0x82, struct.pack(">H", 65000) + filters))
        for packet_id, (topic, payload, qos) in self.waiting.items():  # section 4.4
            out.append(ack(PUBREL, packet_id) if payload is None else self.encode(packet_id, topic, payload, qos, 8))

    def receive(self, head, body, out):
        qos, length = head >> 1 & 3, struct.unpack(">H", body[:2])[0]
        topic, rest = body[2:2 + length].decode(), body[2 + length:]
        packet_id, payload = rest[:2], rest[2:].decode()
        number = struct.unpack(">H", packet_id)[0]
        if qos == 2:
            if packet_id not in self.unreleased:
                self.arrived.append((topic, payload, 2))
            self.unreleased.add(packet_id)
            out.append(ack(PUBREC, number))
        else:
            self.arrived.append((topic, payload, qos))
            out.append(ack(PUBACK, number))

    def answered(self, kind, packet_id, out):
        topic, payload, qos = self.waiting[packet_id]
        if kind == PUBREC:
            if payload is not None:
                self.acknowledged.append((topic, payload, qos))
            self.waiting[packet_id] = (topic, None, qos)
            out.append(ack(PUBREL, packet_id))
            return
        if kind == PUBACK:
            self.acknowledged.append((topic, payload, qos))
        del self.waiting[packet_id]

    def publish(self, out):
        """Nothing, unless it is a publisher."""

    @staticmethod
    def encode(packet_id, topic, payload, qos, duplicate=0, retain=0):
        return packet(0x30 | duplicate | qos << 1 | retain, text(topic) + struct.pack(">H", packet_id) + payload.encode())


class Publisher(Device):
    """Numbered messages: to the topic k/NAME, to a share's topic, and retained ones."""

    def __init__(self, name, port, seed, qos):
        super().__init__(name, port, seed, restless=0.05)
        self.qos, self.count = qos, 0
        self.retained_sent = 0

    def publish(self, out):
        while len(self.waiting) < WINDOW and not self.quiet.is_set():
            self.count += 1
            self.next_id = self.next_id % 60000 + 1
            topic = [f"k/{self.name}", f"share{self.qos}/{self.name}", f"k/{self.name}", f"r/{self.name}"][self.count % 4]
            self.waiting[self.next_id] = (topic, str(self.count), self.qos)
            out.append(self.encode(self.next_id, topic, str(self.count), self.qos))

    @staticmethod
    def encode(packet_id, topic, payload, qos, duplicate=0, retain=0):
        return Device.encode(packet_id, topic, payload, qos, duplicate, int(topic.startswith("r/")))


def test_sessions_survive_kill_9(make_weir):
    port = free_port()
    # The journal is rewritten all the time.
    weir = make_weir({"workers": 2, "mqtt": {"listeners": [{"bind": f"127.0.0.1:{port}"}], "journal_bytes_min": "1MiB"},
                      "web": {"bind": "127.0.0.1:0"}})
    seed = int(os.environ.get("WEIR_SEED", str(random.randrange(1 << 30))))
    print("seed", seed)
    chance = random.Random(seed)
    subscribers = [Device(f"sub{i}", port, seed, restless=0.4, subscriptions=[("k/#", 2)]) for i in range(4)]
    members = [Device(f"member{i}", port, seed, restless=0.3, subscriptions=[("$share/g/share1/#", 1), ("$share/h/share2/#", 2)])
               for i in range(3)]
    leaver = Device("leaver", port, seed, restless=0.3, subscriptions=[("$share/g/share1/#", 1)])
    receivers = [*subscribers, *members, leaver]
    for device in receivers:
        device.start()
    wait_for(lambda: all(device.subscribed for device in receivers), what="subscriptions")
    publishers = [Publisher(f"pub{i}", port, seed, 1 + i % 2) for i in range(6)]
    for publisher in publishers:
        publisher.start()
    for number in range(ROUNDS):
        time.sleep(chance.uniform(0.2, 1.2))
        if number == ROUNDS // 2:
            leave_for_good(leaver)
        if chance.random() < 0.15:
            assert weir.stop() == 0
        else:
            weir.kill()
        weir.start()
    time.sleep(0.5)
    finish(weir, publishers, receivers)
    check(weir, port, publishers, subscribers, members + [leaver])


def leave_for_good(leaver):
    """It is away for some time with messages on their way, and comes back with a clean session only to go."""
    leaver.paused.set()
    wait_for(lambda: not leaver.online, what="leaving")
    time.sleep(0.2)
    leaver.clean_once = True
    leaver.paused.clear()


def finish(weir, publishers, receivers):
    for device in [*publishers, *receivers]:
        device.quiet.set()
    wait_for(lambda: not any(publisher.waiting for publisher in publishers) or any(p.errors for p in publishers), 60, what="acknowledgements")
    settled = [0, time.monotonic()]

    def nothing_comes_any_more():
        count = sum(len(device.arrived) for device in receivers)
        if count != settled[0]:
            settled[:] = [count, time.monotonic()]
        return time.monotonic() - settled[1] > 1.5
    wait_for(nothing_comes_any_more, 120, what="silence")
    for d in receivers: STATE[d.name] = (d.online, len(d.arrived), len(d.unreleased), d.is_alive())
    STATE["m"] = {k: v for k, v in weir.metrics().items() if "mqtt" in k and v}
    for device in [*publishers, *receivers]:
        device.stopping.set()
    for device in [*publishers, *receivers]:
        device.join(20)
        assert not device.errors, device.errors
        assert not device.is_alive()


def check_stream(name, expected, arrived):
    """Both lists of (topic, payload, qos)."""
    missing = set(expected) - set(arrived)
    if missing:
        print(name, STATE)
    assert not missing, f"{name}: {len(missing)} acknowledged messages did not come, e.g. {sorted(missing)[:5]}"
    twice = [message for message, count in Counter(arrived).items() if count > 1 and message[2] == 2]
    assert not twice, f"{name}: {len(twice)} messages of QoS 2 came twice, e.g. {twice[:5]}"


def check_order(name, arrived):
    last, seen = {}, set()
    for message in arrived:
        topic, payload, _ = message
        if message not in seen:
            assert int(payload) > last.get(topic, 0), f"{name}: {topic}: {payload} after {last[topic]}"
            last[topic] = int(payload)
        seen.add(message)


def check(weir, port, publishers, subscribers, members):
    acknowledged = [message for publisher in publishers for message in publisher.acknowledged]
    print(len(acknowledged), "acknowledged,", sum(len(device.arrived) for device in [*subscribers, *members]), "arrived,",
          sum(message[2] == 2 for device in [*subscribers, *members] for message in device.arrived), "of QoS 2")
    assert len(acknowledged) > 100
    for device in subscribers:
        check_stream(device.name, [message for message in acknowledged if message[0].startswith("k/")], device.arrived)
        check_order(device.name, device.arrived)
    shared = [message for device in members for message in device.arrived]
    check_stream("share", [message for message in acknowledged if message[0].startswith("share")], shared)
    check_retained(port, publishers)
    assert weir.stop() == 0


def check_retained(port, publishers):
    """The newest of each topic, once."""
    newest = {f"r/{publisher.name}": max(int(payload) for topic, payload, _ in publisher.acknowledged if topic.startswith("r/"))
              for publisher in publishers}
    reader = Device("reader", port, 0, subscriptions=[("r/#", 0)])
    reader.receive = lambda head, body, out: reader.arrived.append(
        (body[2:2 + struct.unpack(">H", body[:2])[0]].decode(), int(body[2 + struct.unpack(">H", body[:2])[0]:])))
    reader.start()
    wait_for(lambda: len(reader.arrived) >= len(newest), what="retained messages")
    reader.stopping.set()
    reader.join(20)
    assert dict(reader.arrived) == newest
