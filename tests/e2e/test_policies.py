"""AWS IoT policies: what clients written by others see of a denial, by user and by certificate, and after a reload."""
import signal
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest

from test_broker import Client, make_certificates
from weir import PROGRAM, pipeline, wait_for

VERSIONS = pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5], ids=["3.1.1", "5.0"])


def allow(action, resource, **more):
    return {"effect": "Allow", "action": action, "resource": resource, **more}


def deny(action, resource):
    return {"effect": "Deny", "action": action, "resource": resource}


DEVICES = {"statement": [
    allow("iot:Connect", "client/dev-*"),
    allow(["iot:Publish", "iot:RetainPublish"], "topic/sensors/${iot:ClientId}/*"),
    allow("iot:Subscribe", ["topicfilter/commands/${iot:ClientId}/*", "topicfilter/all/*"]),
    allow("iot:Receive", ["topic/commands/${iot:ClientId}/*", "topic/all/*"]),
    deny("iot:Receive", "topic/all/secret/*"),
]}

# The same in AWS's words, as its console shows it.
DEVICES_OF_AWS = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:eu-central-1:123456789012:client/dev-*"},
    {"Effect": "Allow", "Action": ["iot:Publish", "iot:RetainPublish"],
     "Resource": ["arn:aws:iot:eu-central-1:123456789012:topic/sensors/${iot:ClientId}/*"]},
    {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [
        "arn:aws:iot:eu-central-1:123456789012:topicfilter/commands/${iot:ClientId}/*",
        "arn:aws:iot:eu-central-1:123456789012:topicfilter/all/*"]},
    {"Effect": "Allow", "Action": "iot:Receive", "Resource": [
        "arn:aws:iot:eu-central-1:123456789012:topic/commands/${iot:ClientId}/*",
        "arn:aws:iot:eu-central-1:123456789012:topic/all/*"]},
    {"Effect": "Deny", "Action": "iot:Receive", "Resource": "arn:aws:iot:*:*:topic/all/secret/*"},
]}


@pytest.fixture(scope="module")
def password_hash():
    result = subprocess.run([PROGRAM, "passwd"], input="secret\n", capture_output=True, text=True, check=True)
    return result.stdout.strip()


def config(password_hash, devices):
    return {
        "workers": 2,
        "web": {"bind": "127.0.0.1:0"},
        "mqtt": {
            "listeners": [{"bind": "127.0.0.1:0"}],
            "users": {"device": {"password_hash": password_hash, "policy": "devices"},
                      "admin": {"password_hash": password_hash}},
            "policies": {"devices": devices},
        },
    }


@pytest.fixture(params=[DEVICES, DEVICES_OF_AWS], ids=["ours", "aws"])
def broker(make_weir, password_hash, request):
    return make_weir(config(password_hash, request.param))


def client(broker, version, name, user="device", setup=None):
    def set_up(paho):
        paho.reconnect_delay_set(60, 60)
        paho.username_pw_set(user, "secret")
        if setup:
            setup(paho)
    return Client(broker, version, name, setup=set_up)


def code_of(connect):
    return connect if isinstance(connect, int) else connect.value


def denied(broker, action):
    return broker.metrics().get(f'weir_mqtt_denied_total{{action="{action}"}}', 0)


@VERSIONS
def test_connecting(broker, version):
    refused = 5 if version == mqtt.MQTTv311 else 0x87
    good = client(broker, version, "dev-1").connected()
    assert code_of(good.connects[0]) == 0
    bad = client(broker, version, "other").connected()
    assert code_of(bad.connects[0]) == refused
    will = client(broker, version, "dev-2", setup=lambda p: p.will_set("sensors/dev-1/t", "x")).connected()
    assert code_of(will.connects[0]) == refused
    will = client(broker, version, "dev-2", setup=lambda p: p.will_set("sensors/dev-2/t", "x")).connected()
    assert code_of(will.connects[0]) == 0
    assert denied(broker, "connect") == 1 and denied(broker, "publish") == 1
    wait_for(lambda: 'policy "devices" denies iot:Connect on "client/other"' in broker.log(), what="the line in the log")
    assert "secret" not in broker.log().replace("all/secret", "")
    for one in (good, bad, will):
        one.paho.loop_stop()


def test_a_denied_publish_closes_3_1_1(broker):
    watcher = client(broker, mqtt.MQTTv311, "watcher", user="admin").connected().subscribe("#", qos=1)
    device = client(broker, mqtt.MQTTv311, "dev-1").connected()
    device.paho.publish("sensors/dev-1/t", "good", qos=1).wait_for_publish(10)
    device.paho.publish("sensors/dev-2/t", "bad", qos=1)
    wait_for(lambda: device.disconnects, what="the connection to be closed")
    device.paho.loop_stop()
    assert len(device.pubacks) == 1
    time.sleep(0.2)
    assert watcher.payloads() == ["good"]
    watcher.close()


def test_a_denied_publish_is_answered_in_5_0(broker):
    watcher = client(broker, mqtt.MQTTv5, "watcher", user="admin").connected().subscribe("#", qos=1)
    for qos in (1, 2):
        publish = ["mosquitto_pub", "-V", "5", "-p", str(broker.port()), "-u", "device", "-P", "secret", "-i", f"dev-{qos}", "-q", str(qos)]
        good = subprocess.run([*publish, "-t", f"sensors/dev-{qos}/t", "-m", "good"], timeout=20, capture_output=True, text=True)
        assert good.returncode == 0 and not good.stderr
        bad = subprocess.run([*publish, "-t", "sensors/other/t", "-m", "bad"], timeout=20, capture_output=True, text=True)
        assert "Not authorized" in bad.stderr
    device = client(broker, mqtt.MQTTv5, "dev-1").connected()
    device.paho.publish("sensors/dev-2/t", "bad", qos=0)
    wait_for(lambda: device.disconnects, what="DISCONNECT")  # paho does not tell the reason of so short a packet
    device.paho.loop_stop()
    time.sleep(0.2)
    assert watcher.payloads() == ["good", "good"]
    assert denied(broker, "publish") == 3
    watcher.close()


@VERSIONS
def test_subscribing_and_receiving(broker, version):
    codes = []
    device = client(broker, version, "dev-1").connected()
    device.paho.on_subscribe = lambda c, u, mid, granted, *rest: codes.extend(map(code_of, granted))
    if version == mqtt.MQTTv5:
        options = mqtt.SubscribeOptions(qos=1)
        device.paho.subscribe([("commands/dev-1/#", options), ("commands/dev-2/#", options), ("all/#", options), ("#", options)])
    else:
        device.paho.subscribe([("commands/dev-1/#", 1), ("commands/dev-2/#", 1), ("all/#", 1), ("#", 1)])
    wait_for(lambda: len(codes) == 4, what="SUBACK")
    bad = 0x80 if version == mqtt.MQTTv311 else 0x87
    assert codes == [1, bad, 1, bad]
    admin = client(broker, version, "admin", user="admin").connected()
    for topic in ("commands/dev-1/x", "commands/dev-2/x", "all/secret/x", "all/x", "all/secret/y", "all/end"):
        admin.paho.publish(topic, topic, qos=1).wait_for_publish(10)
    wait_for(lambda: "all/end" in device.payloads(), what="the last message")
    assert device.payloads() == ["commands/dev-1/x", "all/x", "all/end"]
    assert denied(broker, "receive") == 2 and denied(broker, "subscribe") == 2
    assert not device.disconnects
    device.close()
    admin.close()


def test_retained_messages_are_received_by_policy_too(broker):
    admin = client(broker, mqtt.MQTTv5, "admin", user="admin").connected()
    for topic in ("all/secret/r", "all/r"):
        admin.paho.publish(topic, topic, qos=1, retain=True).wait_for_publish(10)
    device = client(broker, mqtt.MQTTv5, "dev-1").connected().subscribe("all/#", qos=1)
    wait_for(lambda: device.messages, what="the retained message")
    time.sleep(0.2)
    assert device.payloads() == ["all/r"]
    device.close()
    admin.close()


def test_a_reload_counts_for_those_who_are_connected(make_weir, password_hash):
    settings = config(password_hash, DEVICES)
    weir = make_weir(settings)
    watcher = client(weir, mqtt.MQTTv5, "watcher", user="admin").connected().subscribe("#", qos=1)
    device = client(weir, mqtt.MQTTv5, "dev-1").connected()
    device.paho.publish("sensors/dev-1/t", "1", qos=1).wait_for_publish(10)
    settings["mqtt"]["policies"]["devices"] = {"statement": [allow("iot:Publish", "topic/elsewhere")]}
    weir.write_config(settings)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in weir.log(), what="the reload")
    device.paho.publish("sensors/dev-1/t", "2", qos=1).wait_for_publish(10)
    device.paho.publish("elsewhere", "3", qos=1).wait_for_publish(10)
    wait_for(lambda: len(watcher.messages) == 2, what="the message elsewhere")
    assert watcher.payloads() == ["1", "3"]
    assert not device.disconnects
    device.close()
    watcher.close()


def test_certificates(make_weir):
    """A listener's policy is for those who come with a certificate; its common name and fingerprint can be named."""
    weir = make_weir(start=False)
    make_certificates(weir.directory)
    fingerprint = subprocess.run(["openssl", "x509", "-in", weir.path("device.pem"), "-noout", "-fingerprint", "-sha256"],
                                 capture_output=True, text=True, check=True).stdout.split("=")[1].strip().replace(":", "").lower()
    weir.write_config(pipeline(mqtt={
        "listeners": [{"bind": "127.0.0.1:0", "policy": "things",
                       "tls": {"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem", "require_client_cert": True}}],
        "policies": {"things": {"statement": [
            allow("iot:Connect", "client/${iot:Certificate.Subject.CommonName}"),
            allow("iot:Publish", ["topic/${iot:Certificate.Subject.CommonName}/up", "topic/${iot:CertificateId}"]),
            allow("iot:Publish", "topic/local", condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
            allow("iot:Publish", "topic/far", condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        ]}}}))
    weir.start()

    def publish(topic, name="dev1"):
        return subprocess.run(["mosquitto_pub", "-V", "5", "-h", "localhost", "-p", str(weir.port("mqtts")), "--cafile", weir.path("ca.pem"),
                               "--cert", weir.path("device.pem"), "--key", weir.path("device.key"), "-i", name, "-t", topic, "-m", "x", "-q", "1"],
                              timeout=20, capture_output=True, text=True).stderr
    for topic in ("dev1/up", fingerprint, "local"):
        assert publish(topic) == "", topic
    for topic in ("dev2/up", "0" * 64, "far"):
        assert "Not authorized" in publish(topic), topic
    assert "not authorised" in publish("dev1/up", "dev2").lower().replace("ized", "ised")


@pytest.mark.parametrize("change, place, word", [
    ({"statement": [{"effect": "Allow", "action": "iot:Publsh", "resource": "*"}]}, "iot:Publsh", "did you mean"),
    ({"statement": [{"effect": "Allow", "action": "iot:Publish", "resource": "sensors/#"}]}, "sensors/#", "begins with topic/"),
    (None, '"devices"', "there is no policy"),
], ids=["action", "resource", "name"])
def test_what_is_wrong_is_said_with_its_place(make_weir, password_hash, change, place, word):
    weir = make_weir(start=False)
    settings = config(password_hash, change)
    if not change:
        del settings["mqtt"]["policies"]
    weir.write_config(settings)
    result = subprocess.run([PROGRAM, "check", weir.config_path], capture_output=True, text=True)
    assert result.returncode != 0 and word in result.stderr
    with open(weir.config_path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    line = next(number for number, text in enumerate(lines, 1) if place in text)
    assert f"weir.yaml:{line}:" in result.stderr


def test_the_help_says_what_holds_without_a_policy():
    text = subprocess.run([PROGRAM, "help", "config"], capture_output=True, text=True, check=True).stdout
    assert "who has none may do everything" in text
