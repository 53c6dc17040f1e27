"""The servers that compare.py holds against each other: how each is configured, started, recognised as ready, and ended.

Every start is a fresh process on a free port of 127.0.0.1 with a fresh directory. A server is pinned to SERVER_CORE
by taskset, which executes it in its own place, so that the process id stays the one that was started.
"""

import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import time

SERVER_CORE = 0
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20

MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
user root
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
persistence false
sys_interval 0
log_dest none
connection_messages false
"""

WEIR_CONF = """\
data: {data}
workers: 1
log: {{ level: warn, format: text }}
sync: always
mqtt:
  listeners:
    - {{ bind: "127.0.0.1:0" }}
web: {{ bind: "127.0.0.1:0" }}
"""

WEIR_DURABLE_CONF = """\
streams:
  sensors: { shard_count: 1, retention_period: 24h }
rules:
  keepSensors:
    sql: "SELECT * FROM 'sensors/#'"
    sql_version: "2016-03-23"
    actions:
      - kinesis: { stream_name: sensors, partition_key: "${topic()}" }
"""


class ServerError(Exception):
    """A server that could not be started; the text says which and why."""


class Server:
    """One running server. Use it in a `with` statement: it ends with the block."""

    name = ""

    def __init__(self, directory, durable=False, forward=False):
        self.directory = directory
        self.durable = durable
        self.forward = forward
        self.port = 0
        self.process = None

    def command(self):
        raise NotImplementedError

    def wait_ready(self):
        """Returns the port once the server accepts connections."""
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        os.makedirs(self.directory)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(SERVER_CORE), *self.command()],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL)
        try:
            self.port = self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def log_path(self):
        return os.path.join(self.directory, "stderr")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def fail(self, why):
        with open(self.log_path, errors="replace") as log:
            last = log.read()[-800:].strip()
        raise ServerError(f"{self.name}: {why}" + (f": {last}" if last else ""))

    def read_ready_line(self):
        """The first line on standard output that begins with `ready`; other lines before it are passed over."""
        deadline = time.monotonic() + START_TIMEOUT_S
        stdout = self.process.stdout
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                chunk = os.read(stdout.fileno(), 4096)
                if not chunk:
                    self.fail(f"ended before it was ready (exit code {self.process.wait()})")
                text += chunk
                found = re.search(rb"^ready.*\n", text, re.MULTILINE)
                if found:
                    return found.group().decode()
        self.fail(f"was not ready after {START_TIMEOUT_S} s")


class Floor(Server):
    name = "floor"
    binary = ""

    def command(self):
        args = [self.binary, "--port", "0"]
        if self.durable:
            args += ["--log", os.path.join(self.directory, "log"), "--sync"]
        return args + (["--forward"] if self.forward else [])

    def wait_ready(self):
        return int(self.read_ready_line().split()[1])


class Weir(Server):
    name = "weir"
    binary = ""

    def command(self):
        conf = os.path.join(self.directory, "weir.yaml")
        with open(conf, "w") as f:
            f.write(WEIR_CONF.format(data=os.path.join(self.directory, "data")))
            f.write(WEIR_DURABLE_CONF if self.durable else "")
        return [self.binary, "run", "-c", conf]

    def wait_ready(self):
        line = self.read_ready_line()
        found = re.search(r"\bmqtt\S*=\S*:(\d+)", line)
        if not found:
            self.fail(f"names no mqtt port in its line {line!r}")
        return int(found.group(1))


class Mosquitto(Server):
    name = "mosquitto"
    binary = "/usr/sbin/mosquitto"

    def command(self):
        # Mosquitto takes no port 0: a port that was free a moment ago has to do.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        conf = os.path.join(self.directory, "mosquitto.conf")
        with open(conf, "w") as f:
            f.write(MOSQUITTO_CONF.format(port=self.port))
        return [self.binary, "-c", conf]

    def wait_ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.fail(f"ended before it was ready (exit code {self.process.returncode})")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self.port
            except OSError:
                time.sleep(0.02)
        self.fail(f"was not ready after {START_TIMEOUT_S} s")


SERVERS = {kind.name: kind for kind in (Floor, Weir, Mosquitto)}
