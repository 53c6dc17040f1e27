"""A real Weir for tests: started on free ports with a configuration made here, stopped, killed and started again."""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("WEIR_BUILD", os.path.join(ROOT, "build", "release"))
PROGRAM = os.path.join(BUILD, "weir")
SANITIZED = os.path.basename(BUILD.rstrip("/")) in ("asan", "tsan")  # whose memory says nothing about the product's
COUNTER = os.path.join(BUILD, "functions", "sensor-counter")


def wait_for(condition, timeout_s=20, interval_s=0.02, what="the condition"):
    """Returns the first true value of condition(); its exceptions count as not yet."""
    deadline = time.monotonic() + timeout_s
    last = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except Exception as error:  # noqa: BLE001: whatever it is, the reason is shown when time is up
            last = error
        time.sleep(interval_s)
    raise AssertionError(f"{what} did not come true in {timeout_s} s" + (f" ({last!r})" if last else ""))


def free_port():
    """For who listens on one port again and again. None that the system gives to those who connect: one of them may have it
    while nobody listens, even one who connects to that very port."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def sensors_rule(topic_filter, select="SELECT *", where=""):
    """A rule with the article's two actions."""
    return {
        "sql": f"{select} FROM '{topic_filter}' {where}".strip(),
        "sql_version": "2016-03-23",
        "actions": [
            {"kinesis": {"stream_name": "sensors", "partition_key": "${newuuid()}"}},
            {"firehose": {"delivery_stream_name": "sensors", "separator": "\n"}},
        ],
    }


def pipeline(**changes):
    """The configuration of the article's pipeline as a dictionary, with top-level keys replaced."""
    config = {
        "data": "./data",
        "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}]},
        "web": {"bind": "127.0.0.1:0"},
        "streams": {"sensors": {"shard_count": 1, "retention_period": "24h"}},
        "buckets": {"sensor-storage": {"directory": "./bucket"}},
        "delivery_streams": {
            "sensors": {"bucket": "sensor-storage", "buffer_size": "5MiB", "buffer_interval": "1s", "compression": "gzip"}
        },
        "functions": {"sensor-counter": {"command": [COUNTER], "timeout": "5s", "memory_size": "1024MiB"}},
        "event_source_mappings": [
            {"stream": "sensors", "function": "sensor-counter", "batch_size": 100, "starting_position": "TRIM_HORIZON"}
        ],
        # As on AWS, topic/sensors/# does not match topic/sensors itself.
        "rules": {"sensorsKinesis": sensors_rule("topic/sensors"), "below": sensors_rule("topic/sensors/#")},
        "live_feed": {"channel": "sensors", "latest_key": "sensorLatest", "count_key": "sensorCount"},
    }
    config.update(changes)
    return {key: value for key, value in config.items() if value is not None}


class Weir:
    """One data directory and the process that runs on it. Relative paths in the configuration are below `directory`."""

    def __init__(self, directory, config=None):
        self.directory = str(directory)
        self.config_path = os.path.join(self.directory, "weir.yaml")
        self.log_path = os.path.join(self.directory, "weir.log")
        self.process = None
        self.addresses = {}
        self.write_config(config if config is not None else pipeline())

    def write_config(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=1)  # JSON is YAML
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, timeout_s=20, **environment):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "run", "-c", self.config_path], cwd=self.directory,
                                            stdout=subprocess.PIPE, stderr=log, env={**os.environ, **environment})
        line = self._ready_line(timeout_s)
        self.addresses = dict(re.findall(r"(\w+)=(\S+)", line))
        return self

    def _ready_line(self, timeout_s):
        os.set_blocking(self.process.stdout.fileno(), False)
        text, deadline = b"", time.monotonic() + timeout_s
        while b"\n" not in text:
            if self.process.poll() is not None:
                raise AssertionError(f"weir ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"weir did not become ready:\n{self.log()}")
            text += self.process.stdout.read() or b""
            time.sleep(0.005)
        line = text.decode()
        assert line.startswith("ready "), line
        return line

    def port(self, name="mqtt"):
        return int(self.addresses[name].rsplit(":", 1)[1])

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port('web')}{path}"

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout_s=30):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"weir did not end within {timeout_s} s of SIGTERM:\n{self.log()}") from None
        finally:
            self.process.stdout.close()
            self.process = None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def sanitizer_findings(self):
        """What ASan, UBSan or TSan wrote into the log; empty when all is well."""
        if not os.path.exists(self.log_path):
            return ""
        found = re.search(r"(WARNING: ThreadSanitizer|ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:).*", self.log(), re.S)
        return found.group(0)[:6000] if found else ""

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def redis_socket(self):
        return self.path("data", "redis", "redis.sock")

    def redis(self):
        import redis
        return redis.Redis(unix_socket_path=self.redis_socket())

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        import urllib.request
        with urllib.request.urlopen(self.url("/metrics"), timeout=10) as answer:
            text = answer.read().decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.split("\n") if line and not line.startswith("#")}

    def metric(self, name):
        """Sum of all series of this name."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    def stream_records(self, name="sensors"):
        """Every record of a data stream, by `weir stream read`."""
        result = subprocess.run([PROGRAM, "stream", "read", name, "--data", self.path("data")], check=True,
                                capture_output=True, timeout=120)
        return [json.loads(line) for line in result.stdout.decode().split("\n") if line]

    def bucket_bytes(self, bucket="bucket"):
        """All objects of a directory bucket, decompressed, in the order of their names."""
        return b"".join(content for _, content in self.bucket_objects(bucket))

    def bucket_objects(self, bucket="bucket"):
        import gzip
        found = []
        for folder, _, names in os.walk(self.path(bucket)):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = file.read()
                found.append((os.path.relpath(path, self.path(bucket)),
                              gzip.decompress(content) if name.endswith(".gz") else content))
        return sorted(found)


def cleanup(weir):
    """Ends whatever still runs and removes the directory."""
    if weir.process is not None and weir.process.poll() is None:
        weir.process.kill()
        weir.process.wait()
    shutil.rmtree(weir.directory, ignore_errors=True)
