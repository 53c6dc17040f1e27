#!/usr/bin/python3
"""Measures what connections cost Weir: memory of idle ones, connects a second, and one publish to all of them.

    bench/connections.py                    prints a table in Markdown; three rounds
    bench/connections.py --plain 19000 --tls 4000 --rounds 1

Memory is the private memory of the process (smaps_rollup) after everything has settled, less that before, by the number of
connections: what Weir itself holds, without the kernel's sockets. The second thousand and on are counted, so that what is
made once does not count. Each round starts a fresh Weir with two workers.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
WARM = 1000


def make_certificates(directory):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=Bench CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr", "-addext", "subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copy", "-out", "server.pem")


class Weir:
    def __init__(self, program):
        self.directory = tempfile.mkdtemp(prefix="weir-bench-")
        make_certificates(self.directory)
        config = {
            "workers": 2, "log": {"level": "warn"}, "web": {"bind": "127.0.0.1:0"},
            "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}, {"bind": "127.0.0.1:0", "tls": {"cert": "server.pem", "key": "server.key"}}]}}
        with open(os.path.join(self.directory, "weir.yaml"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen([program, "run", "-c", "weir.yaml"], cwd=self.directory, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode()
        if not line.startswith("ready"):
            sys.exit(f"weir did not start: {self.log()}")
        self.ports = {name: int(address.rsplit(":", 1)[1]) for name, address in re.findall(r"(\w+)=(\S+)", line)}

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
            return file.read()

    def private_bytes(self):
        """After it has not changed for a while."""
        before = -1
        while True:
            with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="utf-8") as file:
                now = sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+) kB", file.read(), re.M)) * 1024
            if now == before:
                return now
            before = now
            time.sleep(0.3)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        said = self.log()
        shutil.rmtree(self.directory)
        return said


class Clients:
    def __init__(self, program, weir, tls):
        arguments = [str(weir.ports["mqtts"]), os.path.join(weir.directory, "ca.pem")] if tls else [str(weir.ports["mqtt"])]
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, step):
        self.process.stdin.write(step + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{step}: failed")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure(args, tls, count):
    """One round: {name: figure}."""
    weir = Weir(args.weir)
    clients = Clients(args.clients, weir, tls)
    found = {}
    clients.do(f"connect {WARM}")
    before = weir.private_bytes()
    found["connects a second"] = (count - WARM) / clients.do(f"connect {count - WARM}")["seconds"]
    idle = weir.private_bytes()
    found["bytes, idle"] = (idle - before) / (count - WARM)
    if not tls:
        clients.do("share")
        shared = weir.private_bytes()
        found["more, subscribed to one filter with all"] = (shared - idle) / count
        deliveries = [clients.do("publish")["seconds"] for _ in range(5)]
        found["ms for one publish to all"] = statistics.median(deliveries) * 1000
        clients.do("close")
        clients.close()
        weir.close()
        weir = Weir(args.weir)
        clients = Clients(args.clients, weir, tls)
        clients.do(f"connect {WARM}")
        clients.do("subscribe")
        before = weir.private_bytes()
        clients.do(f"connect {count - WARM}")
        clients.do("subscribe")
        found["bytes, with a filter of its own"] = (weir.private_bytes() - before) / (count - WARM)
    clients.do("close")
    clients.close()
    said = weir.close()
    if said.strip():
        print(said, file=sys.stderr)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plain", type=int, default=19000)
    parser.add_argument("--tls", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    args = parser.parse_args()
    args.weir = os.path.join(args.build, "weir")
    args.clients = os.path.join(args.build, "bench", "weir_connections")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    args.plain = min(args.plain, most - 500)
    print("| connections | figure | median | lowest | highest |\n|---|---|---:|---:|---:|")
    for tls, count in ((False, args.plain), (True, args.tls)):
        rounds = [measure(args, tls, count) for _ in range(args.rounds)]
        for name in rounds[0]:
            values = sorted(r[name] for r in rounds)
            shown = [f"{value:,.1f}" if "ms" in name else f"{value:,.0f}" for value in (statistics.median(values), values[0], values[-1])]
            print(f"| {count:,} {'TLS' if tls else 'plain'} | {name} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
