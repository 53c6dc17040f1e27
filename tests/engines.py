"""The engines that a stream can stand on, as tests want them: the log, a Kafka topic, another Weir."""
import os
import subprocess
import threading
import time
import uuid

import paho.mqtt.client as mqtt
import pytest

from weir import BUILD

# Addresses of real brokers, host:port,...: then the tests of Kafka run against these instead of librdkafka's mock.
REAL_BROKERS = os.environ.get("WEIR_KAFKA_BROKERS")
MOCK = os.path.join(BUILD, "tests", "kafka_mock_cluster")
DEVICES = 5
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class MockCluster:
    """librdkafka's mock of a Kafka cluster, in a process of its own."""

    def __init__(self, brokers=1):
        self.process = subprocess.Popen([MOCK, str(brokers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip().split(",")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{line}: {answer}"

    def topic(self, name, partitions, replicas=1):
        self.tell(f"topic {name} {partitions} {replicas}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def make_real_topic(name, partitions):
    """With Kafka's own tool, as tests/kafka/README.md tells."""
    subprocess.run([os.environ["WEIR_KAFKA_TOPICS"], "--bootstrap-server", REAL_BROKERS, "--create", "--topic", name,
                    "--partitions", str(partitions), "--replication-factor", "1"], check=True, capture_output=True, timeout=60)


class Kafka:
    """Topics on real brokers if there are any, else on a mock cluster."""

    def __init__(self, mock_brokers=1):
        if os.path.basename(BUILD.rstrip("/")) == "tsan":
            pytest.skip("librdkafka makes its threads with thrd_create, which ThreadSanitizer does not know")
        self.mock = None if REAL_BROKERS else MockCluster(mock_brokers)
        self.brokers = REAL_BROKERS.split(",") if REAL_BROKERS else self.mock.brokers

    def topic(self, partitions, replicas=1):
        name = f"sensors-{uuid.uuid4().hex[:12]}"
        if self.mock:
            self.mock.topic(name, partitions, replicas)
        else:
            make_real_topic(name, partitions)
        return name

    def settings(self, topic, **changes):
        return {"brokers": self.brokers, "topic": topic, **changes}

    def down(self):
        """All brokers. Of real ones, with the command that tests/kafka/README.md describes."""
        self._all("down", "stop")

    def up(self):
        self._all("up", "start")

    def _all(self, mock_word, real_word):
        if self.mock:
            for broker in range(len(self.brokers)):
                self.mock.tell(f"{mock_word} {broker + 1}")
        else:
            subprocess.run([os.environ["WEIR_KAFKA_CONTROL"], real_word], check=True, timeout=120)

    def close(self):
        if self.mock:
            self.mock.close()


def api_config(streams, **changes):
    config = {
        "data": "./data",
        "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]},
        "web": {"bind": "127.0.0.1:0"},
        "api": {"bind": "127.0.0.1:0", "auth": "sigv4"},
        "credentials": [{"access_key_id": KEY, "secret_access_key": SECRET}],
        "streams": streams,
    }
    config.update(changes)
    return config


def kinesis_settings(weir, stream="sensors", **changes):
    """What a stream must say to stand on a stream of this other Weir."""
    return {"endpoint": f"http://{weir.addresses['api']}", "stream": stream, "access_key_id": KEY,
            "secret_access_key": SECRET, "poll_interval": "20ms", **changes}


class Devices:
    """Each publishes numbered readings with QoS 1, the next one when the last is acknowledged or the connection is new."""

    def __init__(self, weir, prefix="d"):
        self.weir, self.stopping = weir, threading.Event()
        self.sent = {f"{prefix}{i}": [] for i in range(DEVICES)}
        self.acknowledged = {f"{prefix}{i}": [] for i in range(DEVICES)}
        self.threads = [threading.Thread(target=self.run, args=(device,), daemon=True) for device in self.sent]
        for thread in self.threads:
            thread.start()

    def run(self, device):
        number = 0
        while not self.stopping.is_set():
            client, connected = mqtt.Client(client_id=device), threading.Event()
            client.on_connect = lambda *_: connected.set()
            try:
                client.connect("127.0.0.1", self.weir.port())
                client.loop_start()
                while not self.stopping.is_set() and connected.wait(5) and client.is_connected():
                    self.sent[device].append(number)
                    info, number = client.publish(f"devices/{device}", f"{device} {number}", qos=1), number + 1
                    while not info.is_published() and client.is_connected() and not self.stopping.is_set():
                        time.sleep(0.001)
                    if info.is_published():
                        self.acknowledged[device].append(number - 1)
            except (OSError, ValueError, RuntimeError):
                self.stopping.wait(0.05)
            finally:
                client.loop_stop()
                client.disconnect()

    def count(self):
        return sum(len(numbers) for numbers in self.acknowledged.values())

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
