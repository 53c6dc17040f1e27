"""Redis by URL, stopped for a while and started again; the private one killed."""
import os
import signal
import subprocess
import tempfile

import redis

from weir import pipeline, wait_for


class RedisServer:
    """A redis-server of the test's own, on a unix socket, with its data kept over restarts."""

    def __init__(self, directory):
        self.directory = directory
        self.socket = os.path.join(directory, "own.sock")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.directory,
                                         "--appendonly", "yes", "--save", ""], stdout=subprocess.DEVNULL)
        wait_for(lambda: self.client().ping(), what="redis")
        return self

    def client(self):
        return redis.Redis(unix_socket_path=self.socket)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def publish(weir, first, end):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-l", "-q", "1"],
                   input="".join(f"{i}\n" for i in range(first, end)), text=True, check=True, timeout=30)


def test_a_redis_that_goes_away_and_comes_back(make_weir):
    server = RedisServer(tempfile.mkdtemp(prefix="redis-")).start()
    try:
        weir = make_weir(pipeline(redis={"url": f"unix://{server.socket}"}))
        publish(weir, 0, 100)
        wait_for(lambda: server.client().get("sensorCount") == b"100", what="the count")
        server.stop()
        publish(weir, 100, 200)
        wait_for(lambda: weir.metric("weir_mapping_lag_records") == 100, what="visible lag")
        wait_for(lambda: weir.metric("weir_state_up") == 0, what="the metric")
        server.start()
        wait_for(lambda: server.client().get("sensorCount") == b"200", timeout_s=60, what="all counted")
        assert server.client().get("sensorLatest") == b"199"
        wait_for(lambda: weir.metric("weir_mapping_lag_records") == 0, what="no lag")
        assert weir.stop() == 0
    finally:
        server.stop()


def test_the_private_redis_is_supervised(weir):
    wait_for(lambda: weir.redis().ping(), what="redis")
    publish(weir, 0, 50)
    wait_for(lambda: weir.redis().get("sensorCount") == b"50", what="the count")
    os.kill(weir.redis().info("server")["process_id"], signal.SIGKILL)
    publish(weir, 50, 100)
    wait_for(lambda: weir.redis().get("sensorCount") == b"100", timeout_s=60, what="all counted by the new one")
    assert weir.metric("weir_redis_restarts_total") >= 1
