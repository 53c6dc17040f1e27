"""MQTT packets by hand: enough of 3.1, 3.1.1 and 5.0 to say and hear everything, right or wrong.

A test builds the packets it sends with the functions below, or from hex; what comes back is a Packet. Nothing here checks
what is sent: that is what the tests are about.
"""
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, \
    DISCONNECT, AUTH = range(1, 16)
NAMES = ("none CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP "
         "DISCONNECT AUTH").split()

# name: (identifier, type); MQTT 5.0 section 2.2.2.2
PROPERTIES = {
    "payload_format": (0x01, "B"), "message_expiry": (0x02, "I"), "content_type": (0x03, "s"), "response_topic": (0x08, "s"),
    "correlation_data": (0x09, "b"), "subscription_id": (0x0B, "v"), "session_expiry": (0x11, "I"),
    "assigned_client_id": (0x12, "s"), "server_keep_alive": (0x13, "H"), "auth_method": (0x15, "s"), "auth_data": (0x16, "b"),
    "request_problem": (0x17, "B"), "will_delay": (0x18, "I"), "request_response": (0x19, "B"),
    "response_information": (0x1A, "s"), "server_reference": (0x1C, "s"), "reason_string": (0x1F, "s"),
    "receive_maximum": (0x21, "H"), "topic_alias_maximum": (0x22, "H"), "topic_alias": (0x23, "H"), "maximum_qos": (0x24, "B"),
    "retain_available": (0x25, "B"), "user": (0x26, "p"), "maximum_packet_size": (0x27, "I"),
    "wildcard_available": (0x28, "B"), "subscription_ids_available": (0x29, "B"), "shared_available": (0x2A, "B"),
}
BY_ID = {identifier: (name, kind) for name, (identifier, kind) in PROPERTIES.items()}
SEVERAL = {"user", "subscription_id"}  # may come more than once: a list


# ---- out ----

def varint(value):
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("!H", len(raw)) + raw


def one_property(name, value):
    identifier, kind = PROPERTIES[name]
    if kind in "BHI":
        raw = struct.pack("!" + kind, value)
    elif kind == "v":
        raw = varint(value)
    elif kind == "p":
        raw = string(value[0]) + string(value[1])
    else:
        raw = string(value)
    return varint(identifier) + raw


def properties(values):
    """From a dictionary (lists for what may come several times) or from bytes; with the length in front."""
    raw = values if isinstance(values, bytes) else b"".join(
        one_property(name, item) for name, value in (values or {}).items()
        for item in (value if isinstance(value, list) else [value]))
    return varint(len(raw)) + raw


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id="", version=5, clean=True, keep_alive=0, props=None, will=None, user=None, password=None, level=None,
            name=None, flags=None):
    """`will`: a dictionary with topic, payload, qos, retain, props."""
    name = ("MQIsdp" if version == 3 else "MQTT") if name is None else name
    bits = 0x02 * clean
    if will:
        bits |= 0x04 | will.get("qos", 0) << 3 | 0x20 * will.get("retain", False)
    bits |= 0x80 * (user is not None) | 0x40 * (password is not None)
    body = string(name) + bytes([version if level is None else level, bits if flags is None else flags])
    body += struct.pack("!H", keep_alive)
    body += properties(props) if version == 5 else b""
    body += string(client_id)
    if will:
        body += properties(will.get("props")) if version == 5 else b""
        body += string(will["topic"]) + string(will.get("payload", b""))
    body += string(user) if user is not None else b""
    body += string(password) if password is not None else b""
    return packet(CONNECT, 0, body)


def publish(version, topic, payload=b"", qos=0, packet_id=0, retain=False, dup=False, props=None):
    body = string(topic) + (struct.pack("!H", packet_id) if qos else b"")
    body += properties(props) if version == 5 else b""
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body + (payload.encode() if isinstance(payload, str) else payload))


def ack(kind, packet_id, reason=None, props=None):
    body = struct.pack("!H", packet_id)
    if reason is not None:
        body += bytes([reason]) + (properties(props) if props is not None else b"")
    return packet(kind, 2 if kind == PUBREL else 0, body)


def subscribe(version, packet_id, filters, props=None):
    """`filters`: (filter, options byte) pairs."""
    body = struct.pack("!H", packet_id) + (properties(props) if version == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(string(text) + bytes([options]) for text, options in filters))


def unsubscribe(version, packet_id, filters, props=None):
    body = struct.pack("!H", packet_id) + (properties(props) if version == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(string(text) for text in filters))


def disconnect(reason=None, props=None):
    body = b"" if reason is None else bytes([reason]) + (properties(props) if props is not None else b"")
    return packet(DISCONNECT, 0, body)


PING = packet(PINGREQ, 0, b"")


# ---- in ----

class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        assert self.at + count <= len(self.raw), f"cut off: {self.raw.hex()}"
        self.at += count
        return self.raw[self.at - count:self.at]

    def number(self, kind):
        return struct.unpack("!" + kind, self.take(struct.calcsize(kind)))[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                assert byte or shift == 7, "longer than it need be [MQTT-1.5.5-1]"
                return value

    def binary(self):
        return self.take(self.number("H"))

    def string(self):
        return self.binary().decode()

    def value(self, kind):
        if kind in "BHI":
            return self.number(kind)
        return {"v": self.varint, "s": self.string, "b": self.binary, "p": lambda: (self.string(), self.string())}[kind]()

    def properties(self):
        end, found = self.varint() + self.at, {}
        while self.at < end:
            name, kind = BY_ID[self.varint()]
            value = self.value(kind)
            if name in SEVERAL:
                found.setdefault(name, []).append(value)
            else:
                assert name not in found, f"{name} twice"
                found[name] = value
        assert self.at == end
        return found

    def rest(self):
        return self.take(len(self.raw) - self.at)


class Packet:
    """A packet from the broker; its fields by name, absent ones are None."""
    topic = payload = packet_id = session_present = code = None

    def __init__(self, first, body, version):
        self.type, self.flags, self.raw = first >> 4, first & 15, body
        self.qos, self.dup, self.retain = self.flags >> 1 & 3, bool(self.flags & 8), bool(self.flags & 1)
        self.props, self.codes = {}, []
        reader = Reader(body)
        v5 = version == 5
        if self.type == CONNACK:
            self.session_present, self.code = reader.number("B"), reader.number("B")
            self.props = reader.properties() if v5 else {}
        elif self.type == PUBLISH:
            self.topic = reader.string()
            self.packet_id = reader.number("H") if self.qos else None
            self.props = reader.properties() if v5 else {}
            self.payload = reader.rest()
        elif self.type in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self.packet_id = reader.number("H")
            self.code = reader.number("B") if reader.at < len(body) else 0
            self.props = reader.properties() if reader.at < len(body) else {}
        elif self.type in (SUBACK, UNSUBACK):
            self.packet_id = reader.number("H")
            self.props = reader.properties() if v5 else {}
            self.codes = list(reader.rest())
        elif self.type in (DISCONNECT, AUTH):
            self.code = reader.number("B") if body else 0
            self.props = reader.properties() if reader.at < len(body) else {}
        assert reader.at == len(body), f"bytes too many: {body.hex()}"
        if self.type != PUBLISH:
            assert self.flags == (2 if self.type == PUBREL else 0), "reserved flags [MQTT-2.1.3-1]"

    def __repr__(self):
        said = {name: value for name, value in vars(self).items() if value not in (None, {}, []) and name not in ("raw", "type")}
        return f"{NAMES[self.type]} {said}"


class Closed(Exception):
    """The broker has closed the connection."""


class Client:
    """One connection. Its own packet identifiers count from 1. Everything received is checked to be well formed."""

    def __init__(self, port, version=5, timeout_s=30):
        self.version, self.timeout_s = version, timeout_s
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.next_id = b"", 1
        self.backlog = []  # what came while something else was awaited
        self.connack = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    # -- bytes and packets

    def send(self, *packets):
        self.socket.sendall(b"".join(bytes.fromhex(item) if isinstance(item, str) else item for item in packets))
        return self

    def _take(self):
        """The next packet in the buffer, or None."""
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.buffer):
                return None
            byte = self.buffer[at]
            length |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not byte & 0x80:
                break
        if len(self.buffer) < at + length:
            return None
        first, body = self.buffer[0], self.buffer[at:at + length]
        self.buffer = self.buffer[at + length:]
        return Packet(first, body, self.version)

    def receive(self, timeout_s=None):
        """The next packet, see receive_new()."""
        return self.backlog.pop(0) if self.backlog else self.receive_new(timeout_s)

    def receive_new(self, timeout_s=None):
        """The next packet. Closed when the broker ends the connection, TimeoutError when nothing comes."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while (found := self._take()) is None:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            except TimeoutError:
                raise TimeoutError("nothing came") from None
            if not data:
                raise Closed(f"left over: {self.buffer.hex()}" if self.buffer else "closed")
            self.buffer += data
        return found

    def expect(self, kind):
        found = self.receive()
        assert found.type == kind, f"{NAMES[kind]} expected, not {found}"
        return found

    def await_answer(self, kind, packet_id):
        """The answer with this identifier; messages that come before it are kept for receive()."""
        while (found := self.receive_new()).type == PUBLISH:
            self.backlog.append(found)
        assert (found.type, found.packet_id) == (kind, packet_id), f"{NAMES[kind]}({packet_id}) expected, not {found}"
        return found

    def closed(self):
        """All that comes until the broker closes the connection."""
        found, self.backlog = self.backlog, []
        try:
            while True:
                found.append(self.receive())
        except Closed:
            return found

    def closed_with(self):
        """The reason of the one DISCONNECT that comes before the end; None: none came."""
        found = self.closed()
        assert len(found) <= 1 and all(item.type == DISCONNECT for item in found), found
        return found[0].code if found else None

    def ping(self):
        """All that comes before PINGRESP: whatever this connection has caused by itself has arrived then."""
        self.send(PING)
        found = []
        while (item := self.receive()).type != PINGRESP:
            found.append(item)
        return found

    # -- what clients do

    def connect(self, client_id="", **options):
        self.send(connect(client_id, version=options.pop("version", self.version), **options))
        self.connack = self.expect(CONNACK)
        return self.connack

    def id(self):
        self.next_id += 1
        return self.next_id - 1

    def subscribe(self, *filters, qos=0, props=None):
        """Filters, or (filter, options) pairs; returns the SUBACK's codes."""
        pairs = [item if isinstance(item, tuple) else (item, qos) for item in filters]
        packet_id = self.id()
        self.send(subscribe(self.version, packet_id, pairs, props))
        return self.await_answer(SUBACK, packet_id).codes

    def unsubscribe(self, *filters):
        packet_id = self.id()
        self.send(unsubscribe(self.version, packet_id, filters))
        return self.await_answer(UNSUBACK, packet_id).codes

    def publish(self, topic, payload=b"", qos=0, **options):
        """Sends, and completes the exchange; returns the last answer (None for QoS 0). Messages may come meanwhile."""
        packet_id = self.id() if qos else 0
        self.send(publish(self.version, topic, payload, qos, packet_id, **options))
        if qos == 0:
            return None
        answer = self.await_answer(PUBACK if qos == 1 else PUBREC, packet_id)
        if qos == 2 and answer.code < 0x80:
            self.send(ack(PUBREL, packet_id))
            answer = self.await_answer(PUBCOMP, packet_id)
        return answer

    def acknowledge(self, message):
        """Completes the exchange of a message that was received."""
        if message.qos == 1:
            self.send(ack(PUBACK, message.packet_id))
        elif message.qos == 2:
            self.send(ack(PUBREC, message.packet_id))
            self.await_answer(PUBREL, message.packet_id)
            self.send(ack(PUBCOMP, message.packet_id))
        return message

    def message(self):
        """The next message, acknowledged."""
        return self.acknowledge(self.expect(PUBLISH))

    def messages(self, count):
        return [self.message() for _ in range(count)]

    def payloads(self, count):
        return [item.payload.decode() for item in self.messages(count)]

    def disconnect(self, *arguments):
        self.send(disconnect(*arguments) if self.version == 5 else packet(DISCONNECT, 0, b""))
        assert self.closed() == []

    def drop(self):
        """Ends the connection without a word."""
        self.socket.close()
