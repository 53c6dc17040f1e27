"""kill -9 at random moments while devices change one shadow by its topics: what was acknowledged is applied, nothing is applied twice, and
who is subscribed with a stored session hears of every version."""
import json
import os
import random
import threading
import time

import paho.mqtt.client as mqtt

from weir import wait_for

ROUNDS = int(os.environ.get("WEIR_SHADOW_KILL_ROUNDS", "3"))
UPDATES_MAX = 600  # a shadow has room for the members of so many
DEVICES = 4
WAITING_MAX = 100  # of requests of one thing; more are not acknowledged as done
PREFIX = "$aws/things/lamp/shadow/"
CONFIG = {"workers": 2, "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]}, "web": {"bind": "127.0.0.1:0"}}


class Device(threading.Thread):
    """Each of its changes adds one member to the shadow, so there are as many members as versions. It never sends one again."""

    def __init__(self, port, names, may_ask):
        super().__init__(daemon=True)
        self.names, self.may_ask, self.acknowledged, self.sent = names, may_ask, [], {}
        self.paho = mqtt.Client(protocol=mqtt.MQTTv5)
        self.paho.on_publish = lambda c, u, mid: self.acknowledged.append(self.sent[mid])
        self.paho.max_inflight_messages_set(5)
        self.paho.connect("127.0.0.1", port)

    def run(self):
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                while self.names and len(self.sent) - len(self.acknowledged) < 5 and self.may_ask():
                    name = self.names.pop()
                    info = self.paho.publish(PREFIX + "update", json.dumps({"state": {"reported": {name: 1}}}), 1)
                    self.sent[info.mid] = name
                if self.paho.loop(0.01) != mqtt.MQTT_ERR_SUCCESS or (not self.names and len(self.sent) == len(self.acknowledged)):
                    return
        except OSError:
            pass


class Watcher:
    """With a stored session; its connections come and go with Weir."""

    def __init__(self):
        self.versions, self.document, self.connects = [], None, 0

    def connect(self, port):
        self.paho = mqtt.Client("watcher", clean_session=False)
        self.paho.on_message = self.hear
        self.granted = threading.Event()
        self.paho.on_subscribe = lambda *arguments: self.granted.set()
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.paho.subscribe([(PREFIX + "update/accepted", 1), (PREFIX + "get/accepted", 1)])
        assert self.granted.wait(20)

    def hear(self, client, userdata, message):
        document = json.loads(message.payload)
        if message.topic.endswith("/get/accepted"):
            self.document = document
        else:
            self.versions.append(document["version"])

    def leave(self):
        self.paho.loop_stop()

    def ask(self):
        self.document = None
        self.paho.publish(PREFIX + "get", "", 1)
        wait_for(lambda: self.document, 60, what="the document")
        return self.document


def test_each_change_is_applied_once(make_weir):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    weir = make_weir(CONFIG)
    watcher, acknowledged, sent = Watcher(), set(), set()
    per_round = UPDATES_MAX // ROUNDS // DEVICES
    for number in range(ROUNDS):
        watcher.connect(weir.port())
        devices, before = [], len(set(watcher.versions))

        def may_ask(devices=devices, before=before):
            return sum(len(device.sent) for device in devices) - len(set(watcher.versions)) + before < WAITING_MAX - DEVICES

        devices += [Device(weir.port(), [f"{number:x}{device:x}{i:x}" for i in range(per_round)], may_ask) for device in range(DEVICES)]
        for device in devices:
            device.start()
        enough = chance.randrange(per_round * DEVICES)
        wait_for(lambda: sum(len(device.acknowledged) for device in devices) >= enough or not any(device.is_alive() for device in devices),
                 60, 0.001, "acknowledgements")
        weir.kill()
        watcher.leave()
        for device in devices:
            device.join(60)
            acknowledged |= set(device.acknowledged)
            sent |= set(device.sent.values())
        weir.start()
        watcher.connect(weir.port())
        document = watcher.ask()
        members = set(document["state"]["reported"])
        assert document["version"] == len(members), "a change was applied twice"
        assert acknowledged <= members <= sent
        wait_for(lambda version=document["version"]: set(watcher.versions) == set(range(1, version + 1)), 60,
                 what=f"all of {document['version']} versions")
        watcher.leave()
        watcher.paho.disconnect()
    assert weir.stop() == 0
