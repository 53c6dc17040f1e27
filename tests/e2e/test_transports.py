"""How clients reach the broker: WebSocket, PROXY protocol, TLS with ALPN and resumption, and what slow or greedy ones get."""
import signal
import socket
import ssl
import struct
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest

from test_broker import VERSIONS, Client, make_certificates
from weir import wait_for

WEB = {"bind": "127.0.0.1:0"}
CONNECT = bytes.fromhex("100e00044d5154540402000000026161")  # 3.1.1, clean, client id "aa"
CONNACK = bytes.fromhex("20020000")
PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_header(source, port=4242, more=b""):
    body = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, 1883) + more
    return PROXY_SIGNATURE + b"\x21\x11" + struct.pack(">H", len(body)) + body


def dial(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def receive(connection, count):
    """So many bytes, or fewer if the connection ends."""
    data = b""
    while len(data) < count:
        try:
            part = connection.recv(count - len(data))
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    return data


def connect_packet(client_id):
    name = client_id.encode()
    body = b"\0\4MQTT\x04\x02\0\0" + struct.pack(">H", len(name)) + name
    return bytes([0x10, len(body)]) + body


def publish_packet(topic, payload=b"x"):
    body = struct.pack(">H", len(topic)) + topic.encode() + payload
    return bytes([0x30, len(body)]) + body


def settings(listener, **more):
    return {"workers": 2, "web": WEB, "mqtt": {"listeners": [{"bind": "127.0.0.1:0", **listener}], **more}}


# ---- WebSocket


@VERSIONS
def test_websocket_on_a_listener_of_its_own(make_weir, version):
    weir = make_weir({**settings({"websocket": True}), "workers": 2})
    weir_config = weir.port("mqttws")
    clients = [Client(weir, version, f"c{i}", transport="websockets", port=weir_config).connected().subscribe("a/#", qos=1)
               for i in range(4)]  # on both workers
    for i in range(200):
        clients[i % 4].paho.publish(f"a/{i % 3}", str(i), qos=1)
    for client in clients:
        wait_for(lambda c=client: len(c.messages) == 200, what="all messages")
        client.close()


def test_websocket_over_tls_at_a_path(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    weir.write_config(settings({"websocket": "/devices", "tls": {"cert": "server.pem", "key": "server.key"}}))
    weir.start()

    def set_up(paho):
        paho.tls_set(weir.path("ca.pem"))
        paho.tls_insecure_set(True)
        paho.ws_set_options("/devices")
    client = Client(weir, mqtt.MQTTv5, "w", transport="websockets", port=weir.port("mqttwss"), setup=set_up)
    client.connected().subscribe("a", qos=1)
    client.paho.publish("a", "x" * 100000, qos=1).wait_for_publish(20)
    wait_for(lambda: client.payloads() == ["x" * 100000], what="the message")
    client.close()


def test_the_web_listener_s_mqtt_has_a_rule_of_its_own(make_weir):
    config = settings({}, web={"policy": "viewers"}, policies={"viewers": {"statement": [
        {"effect": "Allow", "action": ["iot:Connect", "iot:Subscribe", "iot:Receive"], "resource": "*"}]}})
    weir = make_weir(config)
    viewer = Client(weir, mqtt.MQTTv311, "viewer", transport="websockets").connected().subscribe("a", qos=1)
    device = Client(weir, mqtt.MQTTv311, "device").connected()
    device.paho.publish("a", "seen", qos=1).wait_for_publish(20)
    wait_for(lambda: viewer.payloads() == ["seen"], what="the message")
    viewer.paho.reconnect_delay_set(60, 60)
    viewer.paho.publish("a", "not allowed", qos=1)
    wait_for(lambda: viewer.disconnects, what="the viewer to be closed")
    device.close()
    viewer.paho.loop_stop()
    weir.stop()
    config["mqtt"]["web"] = {"anonymous": False}
    weir.write_config(config)
    weir.start()
    refused = Client(weir, mqtt.MQTTv311, "viewer", transport="websockets").connected()
    assert refused.connects[0] == 5
    refused.paho.loop_stop()


# ---- PROXY protocol


def test_the_source_of_a_proxy_header_counts(make_weir):
    here = {"effect": "Allow", "action": "iot:Connect", "resource": "*",
            "condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}
    weir = make_weir(settings({"proxy_protocol": True, "policy": "p"}, policies={"p": {"statement": [here]}}))
    for source, code, more in (("203.0.113.9", 0, b""), ("198.51.100.1", 5, b""), ("203.0.113.10", 0, b"\x02\0\x04host")):
        with dial(weir.port()) as connection:
            connection.sendall(proxy_header(source, more=more) + CONNECT)
            assert receive(connection, 4) == bytes([0x20, 2, 0, code])
    with dial(weir.port()) as health_check:  # LOCAL: the socket's own address
        health_check.sendall(PROXY_SIGNATURE + b"\x20\0\0\0" + CONNECT)
        assert receive(health_check, 4) == bytes([0x20, 2, 0, 5])
    assert "198.51.100.1:4242" in weir.log()
    for bad in (CONNECT, b"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + CONNECT):
        with dial(weir.port()) as connection:
            connection.sendall(bad)
            assert receive(connection, 1) == b""
    wait_for(lambda: weir.metrics().get('weir_mqtt_connects_refused_total{reason="proxy_protocol"}') == 2, what="the metric")


def test_a_proxy_header_comes_before_tls(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    weir.write_config(settings({"proxy_protocol": True, "tls": {"cert": "server.pem", "key": "server.key"}}))
    weir.start()
    context = ssl.create_default_context(cafile=weir.path("ca.pem"))
    with dial(weir.port("mqtts")) as raw:
        for byte in proxy_header("203.0.113.9"):
            raw.sendall(bytes([byte]))
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            connection.sendall(CONNECT)
            assert receive(connection, 4) == CONNACK


# ---- TLS


@pytest.fixture
def tls_weir(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    weir.write_config(settings({"tls": {"cert": "server.pem", "key": "server.key"}}))
    return weir.start()


def tls_client(weir, session=None, alpn=None, version=None, context=None):
    context = context or ssl.create_default_context(cafile=weir.path("ca.pem"))
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.minimum_version = context.maximum_version = version
    return context.wrap_socket(dial(weir.port("mqtts")), server_hostname="localhost", session=session)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_sessions_resume_and_names_are_negotiated(tls_weir, version):
    context = ssl.create_default_context(cafile=tls_weir.path("ca.pem"))
    session = None
    for i in range(6):  # whichever worker it lands on
        with tls_client(tls_weir, session, ["x-amzn-mqtt-ca"], version, context) as connection:
            connection.sendall(CONNECT)
            assert receive(connection, 4) == CONNACK
            assert connection.session_reused == (i > 0)
            assert connection.selected_alpn_protocol() == "x-amzn-mqtt-ca"
            session = connection.session
    with tls_client(tls_weir, alpn=["http/1.1", "mqtt"], version=version) as connection:
        assert connection.selected_alpn_protocol() == "mqtt"
    with pytest.raises(ssl.SSLError):
        tls_client(tls_weir, alpn=["h2"], version=version)


def test_older_versions_are_refused(tls_weir):
    result = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls_weir.port('mqtts')}", "-tls1_1", "-cipher",
                             "ALL:@SECLEVEL=0"], input="", capture_output=True, text=True, timeout=20)
    assert result.returncode != 0


def server_certificate(weir):
    with tls_client(weir) as connection:
        return connection.getpeercert(True)


def test_certificates_are_reloaded_and_no_one_is_dropped(tls_weir):
    weir = tls_weir

    def set_up(paho):
        paho.tls_set(weir.path("ca.pem"))
        paho.tls_insecure_set(True)
    client = Client(weir, mqtt.MQTTv5, "stays", port=weir.port("mqtts"), setup=set_up).connected().subscribe("a", qos=1)
    before = server_certificate(weir)
    with open(weir.path("ca.pem"), encoding="utf-8") as file:
        old_ca = file.read()
    make_certificates(weir.directory)  # another CA, too
    with open(weir.path("both.pem"), "w", encoding="utf-8") as both, open(weir.path("ca.pem"), encoding="utf-8") as file:
        both.write(old_ca + file.read())
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in weir.log(), what="the reload")
    assert server_certificate(weir) != before
    client.paho.publish("a", "still here", qos=1).wait_for_publish(20)
    wait_for(lambda: client.payloads() == ["still here"], what="the message")
    assert not client.disconnects
    with open(weir.path("server.pem"), "w", encoding="utf-8") as file:
        file.write("no certificate")
    now = server_certificate(weir)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "not reloaded" in weir.log(), what="the refusal")
    assert server_certificate(weir) == now
    assert not client.disconnects
    client.close()


# ---- the slow and the greedy


def test_who_does_not_finish_connecting_is_closed(make_weir):
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    config = settings({}, connect_timeout="1s")
    config["mqtt"]["listeners"] += [{"bind": "127.0.0.1:0", "tls": {"cert": "server.pem", "key": "server.key"}},
                                    {"bind": "127.0.0.1:0", "websocket": True}]
    weir.write_config(config)
    weir.start()
    plain, tls, websocket = (weir.port(name) for name in ("mqtt", "mqtts", "mqttws"))
    slow = [dial(plain), dial(tls), dial(websocket)]
    for port, start in ((plain, CONNECT[:7]), (tls, b"\x16\x03\x01\x02\x00\x01"), (websocket, b"GET /mqtt HTTP/1.1\r\nHost: x\r\n")):
        connection = dial(port)
        connection.sendall(start)
        slow.append(connection)
    done = dial(plain)
    done.sendall(CONNECT)
    assert receive(done, 4) == CONNACK
    for connection in slow:
        assert receive(connection, 1) == b""
    assert weir.metrics()['weir_mqtt_connects_refused_total{reason="connect_timeout"}'] == len(slow)
    done.sendall(b"\xc0\0")
    assert receive(done, 2) == b"\xd0\0"
    done.close()


def test_those_who_only_hold_connections_lose_theirs_first(make_weir):
    config = settings({}, connecting_max=5)
    config["workers"] = 1
    weir = make_weir(config)
    idle = [dial(weir.port()) for _ in range(20)]
    client = Client(weir, mqtt.MQTTv311, "real").connected()
    for connection in idle[:15]:
        assert receive(connection, 1) == b""
    assert weir.metrics()['weir_mqtt_connects_refused_total{reason="connecting_max"}'] >= 15
    client.close()
    for connection in idle:
        connection.close()


def test_a_listener_has_so_many_connections(make_weir):
    weir = make_weir(settings({"connections_max": 3}))

    def connected(name):
        connection = dial(weir.port())
        try:
            connection.sendall(connect_packet(name))
        except (ConnectionResetError, BrokenPipeError):
            pass
        if receive(connection, 4) == CONNACK:
            return connection
        connection.close()
        return None
    first = [connected(f"c{i}") for i in range(5)]
    assert [c is not None for c in first] == [True, True, True, False, False]
    assert weir.metrics()['weir_mqtt_connects_refused_total{reason="listener_connections_max"}'] == 2
    first[0].close()
    wait_for(lambda: connected("late"), what="a free place")
    for connection in first[1:3]:
        connection.close()


def test_connects_beyond_the_rate_wait_and_none_is_refused(make_weir):
    weir = make_weir(settings({"connect_rate": 50}))
    connections = [dial(weir.port()) for _ in range(40)]
    for i, connection in enumerate(connections):
        connection.sendall(connect_packet(f"c{i}"))
    for connection in connections:
        assert receive(connection, 4) == CONNACK
        connection.close()
    assert weir.metric("weir_mqtt_connects_delayed_total") > 0


def test_a_publisher_beyond_its_rate_is_slowed_and_keeps_its_connection(make_weir):
    weir = make_weir(settings({"publish_rate": 100, "packet_bytes_max": "1KiB"}))
    watcher = Client(weir, mqtt.MQTTv5, "watcher").connected().subscribe("a", qos=0)
    with dial(weir.port()) as greedy:
        greedy.sendall(connect_packet("greedy"))
        assert receive(greedy, 4) == CONNACK
        begun = time.monotonic()
        greedy.sendall(b"".join(publish_packet("a", b"%d" % i) for i in range(160)) + b"\xc0\0")
        assert receive(greedy, 2) == b"\xd0\0"
        wait_for(lambda: len(watcher.messages) == 160, what="all messages")
        assert time.monotonic() - begun > 0.3  # a second's at once, then 10 ms each
        assert watcher.payloads() == [str(i) for i in range(160)]
        assert weir.metric("weir_mqtt_paced_total") > 0
        greedy.sendall(publish_packet("a", b"x" * 100)[:1] + b"\x80\x10")  # announces 2 KiB
        assert receive(greedy, 1) == b""
    watcher.close()


def test_topics_are_limited_as_on_aws(make_weir):
    weir = make_weir(settings({}, topic_levels_max=8, topic_bytes_max=256))
    watcher = Client(weir, mqtt.MQTTv5, "watcher").connected().subscribe("#", qos=1)
    reasons = []
    client = Client(weir, mqtt.MQTTv5, "c", setup=lambda p: setattr(p, "on_log", lambda *a: reasons.append(a[3]))).connected()
    for topic in ("a/b/c/d/e/f/g/h/i", "x" * 257, "a/b/c/d/e/f/g/h", "x" * 256):
        client.paho.publish(topic, topic, qos=1).wait_for_publish(20)
    wait_for(lambda: len(watcher.messages) == 2, what="the two that are allowed")
    assert [m.topic for m in watcher.messages] == ["a/b/c/d/e/f/g/h", "x" * 256]
    client.close()
    watcher.close()
