#!/usr/bin/env python3
"""Measures the streams: sequential replay against memcpy, PutRecords against kinesalite in records per CPU second, and how long a
published message takes to a tailing reader beside the disk's own sync. Prints a table in Markdown.

    script/bench streams [--rounds N] [--write]
"""
import argparse
import base64
import http.client
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests"))
os.environ.setdefault("WEIR_BUILD", os.path.join(ROOT, "build", "release"))

import weir as weir_module  # noqa: E402

KINESALITE = os.path.join(HERE, "node_modules", "kinesalite", "cli.js")
HEADERS = {"Content-Type": "application/x-amz-json-1.1"}
SIGNATURE = ("AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, "
             "Signature=" + "0" * 64)  # kinesalite wants one, and does not look at it
BATCH, RECORD_BYTES = 500, 200


def cpu_s(pid):
    """User and system time of all threads."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Api:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __call__(self, operation, body):
        self.connection.request("POST", "/", body if isinstance(body, bytes) else json.dumps(body),
                                {**HEADERS, "X-Amz-Target": f"Kinesis_20131202.{operation}", "Authorization": SIGNATURE,
                                 "X-Amz-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())})
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text[:500]
        return text


def put_body(shards):
    data = base64.b64encode(os.urandom(RECORD_BYTES)).decode()
    return json.dumps({"StreamName": "s", "Records": [{"Data": data, "PartitionKey": f"key-{i % (8 * shards)}"} for i in range(BATCH)]}).encode()


def put_records(port, pid, seconds):
    """Records per CPU second of the server, and per second."""
    api, body = Api(port), put_body(1)
    for _ in range(5):
        api("PutRecords", body)
    count, cpu, begin = 0, cpu_s(pid), time.monotonic()
    while time.monotonic() < begin + seconds:
        api("PutRecords", body)
        count += BATCH
    wall = time.monotonic() - begin
    return count / (cpu_s(pid) - cpu), count / wall


def config(**changes):
    settings = dict(streams={"s": {"shard_count": 1}}, api={"bind": "127.0.0.1:0", "auth": "open"}, workers=1, functions=None,
                    rules={"in": {"sql": "SELECT * FROM 'in'", "actions": [{"kinesis": {"stream_name": "s", "partition_key": "k"}}]}},
                    event_source_mappings=None, delivery_streams=None, buckets=None, redis={"url": "redis://127.0.0.1:1"})
    settings.update(changes)
    return weir_module.pipeline(**settings)


class Running:
    """A Weir in the build folder, which is on a real disk."""

    def __enter__(self):
        self.weir = weir_module.Weir(tempfile.mkdtemp(prefix="bench-", dir=weir_module.BUILD), config()).start()
        return self.weir

    def __exit__(self, *_):
        weir_module.cleanup(self.weir)


def weir_put(seconds):
    with Running() as weir:
        return put_records(weir.port("api"), weir.process.pid, seconds)


def kinesalite_put(seconds):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["node", KINESALITE, "--port", str(port), "--createStreamMs", "0"], stdout=subprocess.DEVNULL)
    try:
        weir_module.wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close() is None, what="kinesalite")
        api = Api(port)
        api("CreateStream", {"StreamName": "s", "ShardCount": 1})
        weir_module.wait_for(lambda: b"ACTIVE" in api("DescribeStream", {"StreamName": "s"}), what="the stream")
        return put_records(port, server.pid, seconds)
    finally:
        server.kill()
        server.wait()


def replay(megabytes):
    """(MB/s, memcpy MB/s, records) of a stream of 200-byte records, read the second time, from the page cache."""
    with Running() as weir:
        api, body = Api(weir.port("api")), put_body(1)
        while weir.metric("weir_stream_disk_bytes") < megabytes << 20:
            for _ in range(200):
                api("PutRecords", body)
        weir.stop()
        program = os.path.join(weir_module.BUILD, "bench", "weir_replay")
        for _ in range(2):
            words = subprocess.run([program, weir.path("data"), "s"], check=True, capture_output=True, text=True).stdout.split()
        return float(words[3]), float(words[4]), int(words[0])


class Publisher:
    """QoS 1, one at a time."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01b"
        self.connection.sendall(b"\x10" + bytes([len(body)]) + body)
        assert self.connection.recv(4) == b"\x20\x02\x00\x00"

    def publish(self, payload):
        body = struct.pack(">H", 2) + b"in" + b"\x00\x01" + payload
        self.connection.sendall(b"\x32" + bytes([len(body)]) + body)

    def await_ack(self):
        assert len(self.connection.recv(4)) == 4


class Tail:
    """SubscribeToShard from LATEST."""

    def __init__(self, port):
        api = Api(port)
        arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
        consumer = json.loads(api("RegisterStreamConsumer", {"StreamARN": arn, "ConsumerName": "tail"}))["Consumer"]["ConsumerARN"]
        body = json.dumps({"ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}).encode()
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: "
                                b"Kinesis_20131202.SubscribeToShard\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.wait(b"initial-response")

    def wait(self, needle):
        received = b""
        while needle not in received:
            piece = self.connection.recv(65536)
            assert piece
            received += piece


def latency(count):
    """Medians in microseconds: publish to tailing reader, publish to PUBACK, one sync of the log."""
    with Running() as weir:
        tail, publisher = Tail(weir.port("api")), Publisher(weir.port())
        seen, acked = [], []
        before = (weir.metric("weir_stream_sync_microseconds_total"), weir.metric("weir_stream_syncs_total"))
        for number in range(count):
            payload = f"reading-{number:08}".encode()
            begin = time.perf_counter()
            publisher.publish(payload)
            publisher.await_ack()
            acked.append(time.perf_counter() - begin)
            tail.wait(base64.b64encode(payload)[:16])
            seen.append(time.perf_counter() - begin)
            time.sleep(0.001)
        after = (weir.metric("weir_stream_sync_microseconds_total"), weir.metric("weir_stream_syncs_total"))
        sync = (after[0] - before[0]) / (after[1] - before[1])
        return statistics.median(seen) * 1e6, statistics.median(acked) * 1e6, sync


def span(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    rounds = parser.parse_args()
    if not os.path.exists(KINESALITE):
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--prefix", HERE], check=True)
    replays, weirs, others, latencies = [], [], [], []
    for _ in range(rounds.rounds):
        replays.append(replay(rounds.megabytes))
        weirs.append(weir_put(rounds.seconds))
        others.append(kinesalite_put(rounds.seconds))
        latencies.append(latency(500))
    lines = ["| | Weir | beside it | ratio |", "|---|---|---|---|"]
    lines.append(f"| sequential replay, {RECORD_BYTES}-byte records, sums checked, MB/s | {span([r[0] for r in replays], '.0f')} "
          f"| memcpy {span([r[1] for r in replays], '.0f')} | {span([r[0] / r[1] for r in replays], '.2f')} |")
    lines.append(f"| PutRecords {BATCH} x {RECORD_BYTES} B, records per CPU second | {span([w[0] for w in weirs], '.0f')} "
          f"| kinesalite in memory {span([o[0] for o in others], '.0f')} | {span([w[0] / o[0] for w, o in zip(weirs, others)], '.1f')} |")
    lines.append(f"| PUBLISH to tailing reader, one at a time, median us | {span([x[0] for x in latencies], '.0f')} "
          f"| one sync {span([x[2] for x in latencies], '.0f')} | {span([x[0] / x[2] for x in latencies], '.2f')} |")
    lines.append(f"| PUBLISH to PUBACK, median us | {span([x[1] for x in latencies], '.0f')} "
          f"| one sync {span([x[2] for x in latencies], '.0f')} | {span([x[1] / x[2] for x in latencies], '.2f')} |")
    print("\n".join(lines))
    if rounds.write:
        write(lines)


def write(lines):
    """Puts the table into RESULTS.md, in the place of the last one."""
    path = os.path.join(HERE, "RESULTS.md")
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"\n## Streams\n.*?(?=\n## |\Z)", "", file.read(), flags=re.S).rstrip("\n")
    load = os.getloadavg()[0]
    text += (f"\n\n## Streams\n\nBy `script/bench streams --write` ({time.strftime('%Y-%m-%d', time.gmtime())}, load average {load:.1f}): median "
             "(least-most) of the rounds. Replay reads what lies in the page cache; kinesalite keeps everything in memory, Weir syncs before it "
             "answers; the time of one sync is the log's own (`weir_stream_sync_microseconds_total`).\n\n" + "\n".join(lines) + "\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
