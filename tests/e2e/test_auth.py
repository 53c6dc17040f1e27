"""Who may connect: devices, registered certificates, users after a reload, SCRAM with a calculation that is not the broker's."""
import base64
import hashlib
import hmac
import os
import re
import signal
import socket
import stat
import struct
import subprocess

import paho.mqtt.client as mqtt
import pytest

from test_broker import Client, make_certificates
from test_transports import receive
from weir import PROGRAM, pipeline, wait_for

WEB = {"bind": "127.0.0.1:0"}
TLS = {"cert": "server.pem", "key": "server.key", "registered_certs": True, "require_client_cert": True}


def run(*arguments, text="", **keywords):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True, timeout=60, **keywords)


def hash_of(password, *arguments):
    return run("passwd", *arguments, text=password + "\n", check=True).stdout.strip()


def reload(weir):
    before = weir.log().count("reloaded log")
    weir.signal(signal.SIGHUP)
    wait_for(lambda: weir.log().count("reloaded log") > before, what="the reload")


def publish_with(weir, certificate, topic="topic/sensors", client_id="c", version="5"):
    """What mosquitto_pub says: empty if all went well."""
    result = subprocess.run(
        ["mosquitto_pub", "-V", version, "-h", "localhost", "-p", str(weir.port("mqtts")), "--cafile", weir.path("ca.pem"),
         "--cert", weir.path(f"{certificate}.pem"), "--key", weir.path(f"{certificate}.key"), "-i", client_id, "-t", topic, "-m", "x", "-q", "1"],
        capture_output=True, text=True, timeout=60)
    return result.stderr if result.returncode or result.stderr else ""


# ---- devices


def test_a_device_from_its_creation_to_its_end(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    only_own = {"statement": [{"effect": "Allow", "action": "iot:Connect", "resource": "*"},
                              {"effect": "Allow", "action": "iot:Publish", "resource": "topic/${iot:Certificate.Subject.CommonName}/up"}]}
    weir.write_config(pipeline(mqtt={"listeners": [{"bind": "127.0.0.1:0", "tls": TLS}], "policies": {"own": only_own}}))
    weir.start()
    made = run("device", "create", "pump-1", "--policy", "own", "--directory", weir.directory, "--data", weir.path("data"))
    assert made.returncode == 0 and "SIGHUP" in made.stderr
    fingerprint = re.search(r"fingerprint (\w{64})", made.stdout).group(1)
    for name in ("pump-1.key", "data/devices/ca.key"):
        assert stat.S_IMODE(os.stat(weir.path(name)).st_mode) == 0o600
    checked = subprocess.run(["openssl", "verify", "-CAfile", weir.path("data/devices/ca.pem"), weir.path("pump-1.pem")], capture_output=True)
    assert checked.returncode == 0
    assert "authori" in publish_with(weir, "pump-1", "pump-1/up").lower()  # not before SIGHUP
    reload(weir)
    assert publish_with(weir, "pump-1", "pump-1/up") == ""
    assert "authori" in publish_with(weir, "pump-1", "pump-2/up").lower()
    assert "authori" in publish_with(weir, "device").lower()  # signed by somebody, registered nowhere

    again = run("device", "create", "pump-1", "--directory", weir.path("new"), "--data", weir.path("data"))
    assert again.returncode == 1 and "already" in again.stderr
    assert run("device", "create", "../x", "--data", weir.path("data")).returncode == 1

    def set_up(paho):
        paho.tls_set(weir.path("ca.pem"), weir.path("pump-1.pem"), weir.path("pump-1.key"))
        paho.tls_insecure_set(True)
        paho.reconnect_delay_set(60, 60)
    client = Client(weir, mqtt.MQTTv5, "stays", port=weir.port("mqtts"), setup=set_up).connected()
    assert run("device", "revoke", "pump-1", "--data", weir.path("data")).returncode == 0
    assert run("device", "revoke", "pump-9", "--data", weir.path("data")).returncode == 1
    assert not client.disconnects
    reload(weir)
    wait_for(lambda: client.disconnects, what="the connection to be ended")
    client.paho.loop_stop()
    assert "authori" in publish_with(weir, "pump-1", "pump-1/up").lower()
    assert run("device", "create", "pump-1", "--directory", weir.path("new"), "--data", weir.path("data")).returncode == 0
    lines = run("device", "ls", "--data", weir.path("data")).stdout.split("\n")
    assert [line.split()[:3] for line in lines[1:3]] == [["pump-1", "active", "-"], ["pump-1", "revoked", "own"]]
    assert fingerprint in lines[2]
    weir.stop()
    weir.start()  # devices are known from the start
    assert "authori" in publish_with(weir, "pump-1", "pump-1/up").lower()
    assert publish_with(weir, "new/pump-1") == ""


def self_signed(weir, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=weir.directory, check=True, capture_output=True)
    shown = subprocess.run(["openssl", "x509", "-in", f"{name}.pem", "-noout", "-fingerprint", "-sha256"], cwd=weir.directory, check=True,
                           capture_output=True, text=True)
    return shown.stdout.strip().split("=")[1]


def test_certificates_of_the_configuration(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    config = {
        "web": WEB,
        "mqtt": {
            "listeners": [{"bind": "127.0.0.1:0", "policy": "nothing", "tls": {**TLS, "client_ca": "ca.pem"}}],
            "certificates": {
                "one": {"fingerprint": self_signed(weir, "one"), "policy": "all"},
                "two": {"pem": "two.pem"},
                "three": {"fingerprint": self_signed(weir, "three").replace(":", "").lower(), "policy": "all", "active": False},
            },
            "policies": {"all": {"statement": [{"effect": "Allow", "action": "iot:*", "resource": "*"}]},
                         "nothing": {"statement": [{"effect": "Allow", "action": "iot:Connect", "resource": "*"}]}},
        },
    }
    self_signed(weir, "two")
    self_signed(weir, "four")
    weir.write_config(config)
    weir.start()
    assert publish_with(weir, "one") == "" and publish_with(weir, "one", version="311") == ""
    assert "authori" in publish_with(weir, "two").lower()  # connects, by the listener's policy, and may not publish
    for name in ("three", "four"):
        assert "authori" in publish_with(weir, name).lower()
    assert weir.metrics()['weir_mqtt_connects_refused_total{reason="certificate"}'] == 2
    assert "its certificate is not " in weir.log()  # registered, or active: one line a second
    config["mqtt"]["certificates"]["one"]["active"] = False
    config["mqtt"]["certificates"]["two"]["policy"] = "all"
    weir.write_config(config)
    reload(weir)
    assert publish_with(weir, "two") == ""
    assert "authori" in publish_with(weir, "one").lower()
    config["mqtt"]["certificates"]["two"]["pem"] = "nowhere.pem"
    weir.write_config(config)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "not reloaded" in weir.log() and "nowhere.pem" in weir.log(), what="the reason")
    assert publish_with(weir, "two") == ""


# ---- users


def test_users_come_and_go_with_a_reload(make_weir):
    secret = hash_of("secret", "--iterations", "1000")
    config = {"workers": 2, "web": WEB, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}], "users": {"a": {"password_hash": secret}}}}
    weir = make_weir(config)

    def client(user, name):
        def set_up(paho):
            paho.username_pw_set(user, "secret")
            paho.reconnect_delay_set(60, 60)
        return Client(weir, mqtt.MQTTv311, name, setup=set_up).connected()
    first = client("a", "first")
    assert first.connects == [0] and client("b", "second").connects == [4]
    config["mqtt"]["users"] = {"b": {"password_hash": secret}}
    weir.write_config(config)
    reload(weir)
    wait_for(lambda: first.disconnects, what="the end of a user's connection")
    first.paho.loop_stop()
    assert client("a", "third").connects == [4] and client("b", "fourth").connects == [0]


def test_a_right_password_is_hashed_once(make_weir):
    weir = make_weir({"workers": 1, "web": WEB, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}],
                                                         "users": {"a": {"password_hash": hash_of("secret", "--iterations", "1000")}}}})

    def verified(by):
        return weir.metrics()[f'weir_mqtt_passwords_verified_total{{by="{by}"}}']

    def publish(password="secret"):
        return subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-u", "a", "-P", password, "-t", "a", "-m", "x"],
                              capture_output=True, timeout=60).returncode
    for _ in range(3):
        assert publish() == 0
    assert (verified("hash"), verified("cache")) == (1, 2)
    assert publish("Secret") != 0
    assert (verified("hash"), verified("cache")) == (1, 2)
    reload(weir)
    assert publish() == 0
    assert (verified("hash"), verified("cache")) == (2, 2)


# ---- SCRAM-SHA-256, with nothing of the broker's own


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


class Scram:
    """A raw MQTT 5 client that authenticates by RFC 5802 and 7677."""

    METHOD = "SCRAM-SHA-256"

    def __init__(self, weir, user="user", password="pencil", client_id="s"):
        self.socket = socket.create_connection(("127.0.0.1", weir.port()), timeout=30)
        self.user, self.password, self.client_id = user, password, client_id

    @staticmethod
    def varint(value):
        out = b""
        while True:
            value, low = divmod(value, 128)
            out += bytes([low | (0x80 if value else 0)])
            if not value:
                return out

    def properties(self, data, method=None):
        out = b""
        for number, value in ((0x15, (method or self.METHOD).encode()), (0x16, data)):
            out += bytes([number]) + struct.pack(">H", len(value)) + value
        return self.varint(len(out)) + out

    def send(self, head, body):
        self.socket.sendall(bytes([head]) + self.varint(len(body)) + body)

    def read(self):
        """(head, body) of the next packet, or None at the end."""
        head = receive(self.socket, 1)
        if not head:
            return None
        length, shift = 0, 0
        while True:
            byte = receive(self.socket, 1)[0]
            length |= (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80:
                return head[0], receive(self.socket, length)

    @staticmethod
    def auth_data(properties):
        """Method and data of the properties of an AUTH or CONNACK; the length is below 128 or two bytes."""
        at = 2 if properties[0] & 0x80 else 1
        sizes = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x27: 4, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2a: 1}
        found = {}
        while at < len(properties):
            number = properties[at]
            at += 1
            if number in sizes:
                at += sizes[number]
                continue
            length = struct.unpack_from(">H", properties, at)[0]
            found[number] = properties[at + 2:at + 2 + length]
            at += 2 + length
        return found.get(0x15, b"").decode(), found.get(0x16, b"")

    def first(self):
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={self.user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        return f"n,,{self.bare}".encode()

    def final(self, server_first):
        parts = dict(part.split("=", 1) for part in server_first.split(","))
        assert parts["r"].startswith(self.nonce) and len(parts["r"]) > len(self.nonce) + 16
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        client_key = mac(salted, b"Client Key")
        without_proof = f"c=biws,r={parts['r']}"
        message = f"{self.bare},{server_first},{without_proof}".encode()
        proof = bytes(a ^ b for a, b in zip(client_key, mac(hashlib.sha256(client_key).digest(), message)))
        self.signature = base64.b64encode(mac(mac(salted, b"Server Key"), message)).decode()
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def connect(self, method=None):
        name = self.client_id.encode()
        self.send(0x10, b"\0\4MQTT\x05\x02\0\0" + self.properties(self.first(), method) + struct.pack(">H", len(name)) + name)
        return self.read()

    def answer(self, packet):
        """To an AUTH 0x18 with server-first; returns what comes then."""
        head, body = packet
        assert (head, body[0]) == (0xf0, 0x18), packet
        method, data = self.auth_data(body[1:])
        assert method == self.METHOD
        self.send(0xf0, b"\x18" + self.properties(self.final(data.decode())))
        return self.read()

    def connected(self):
        head, body = self.answer(self.connect())
        assert (head, body[1]) == (0x20, 0), body
        assert self.auth_data(body[2:]) == (self.METHOD, f"v={self.signature}".encode())
        return self

    def again(self):
        self.send(0xf0, b"\x19" + self.properties(self.first()))
        return self.answer(self.read())

    def ping(self):
        self.send(0xc0, b"")
        return self.read() == (0xd0, b"")


@pytest.fixture
def scram_weir(make_weir):
    allowed = {"statement": [{"effect": "Allow", "action": ["iot:Connect", "iot:Publish"], "resource": "*"}]}
    return make_weir({"workers": 2, "web": WEB, "mqtt": {
        "listeners": [{"bind": "127.0.0.1:0"}],
        "users": {"user": {"password_hash": hash_of("pencil", "--iterations", "4096"), "policy": "p"},
                  "a,b=c": {"password_hash": hash_of("pencil", "--iterations", "4096")},
                  "old": {"password_hash": "$pbkdf2-sha256$1000$TmFDbE5hQ2w=$MSIt3QlCxuLbefgRbHuMo0kQ2djxo9x35TFSZkuF5c0="}},
        "policies": {"p": allowed}}})


def test_scram_lets_in_who_knows_the_password(scram_weir):
    for i, user in enumerate(("user", "a,b=c", "user", "a,b=c")):
        client = Scram(scram_weir, user, client_id=f"c{i}").connected()
        assert client.ping()
        client.send(0x82, b"\0\1\0\0\1t\0")
        assert client.read() == (0x90, b"\0\1\0" + (b"\x87" if user == "user" else b"\0"))  # its policy has no iot:Subscribe
        client.socket.close()
    for user, password in (("user", "Pencil"), ("nobody", "pencil"), ("old", "Password")):
        client = Scram(scram_weir, user, password)
        assert client.answer(client.connect()) == (0x20, b"\0\x86\0")
        assert client.read() is None
    assert scram_weir.metrics()['weir_mqtt_connects_refused_total{reason="credentials"}'] == 3
    # The same verifier serves CONNECT with a password.
    assert subprocess.run(["mosquitto_pub", "-p", str(scram_weir.port()), "-u", "user", "-P", "pencil", "-t", "a", "-m", "x"], timeout=60).returncode == 0


def test_another_method_is_refused(scram_weir):
    assert Scram(scram_weir).connect("PLAIN") == (0x20, b"\0\x8c\0")
    assert Scram(scram_weir).connect("SCRAM-SHA-1") == (0x20, b"\0\x8c\0")


def test_a_connection_authenticates_again(scram_weir):
    client = Scram(scram_weir).connected()
    for _ in range(3):
        head, body = client.again()
        assert (head, body[0]) == (0xf0, 0)
        assert client.auth_data(body[1:]) == ("SCRAM-SHA-256", f"v={client.signature}".encode())
        assert client.ping()
    client.user = "a,b=c"  # the right password of another user
    assert client.again() == (0xe0, b"\x87")
    assert client.read() is None
    wrong = Scram(scram_weir).connected()
    wrong.password = "Pencil"
    assert wrong.again() == (0xe0, b"\x87")
    assert scram_weir.metrics()['weir_mqtt_disconnects_total{reason="reauthentication"}'] == 2


def test_who_is_told_apart_by_nothing(scram_weir):
    """A user that does not exist gets a challenge like any other, and the same salt each time."""
    challenges = []
    for name in ("nobody", "nobody", "user"):
        client = Scram(scram_weir, name)
        head, body = client.connect()
        assert (head, body[0]) == (0xf0, 0x18)
        challenges.append(client.auth_data(body[1:])[1].split(b",", 1)[1])
        client.socket.close()
    assert challenges[0] == challenges[1]
    assert [challenge.split(b",")[-1] for challenge in challenges] == [b"i=4096"] * 3
