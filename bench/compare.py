#!/usr/bin/python3
"""Measures the floor, Weir and mosquitto against each other, interleaved, and writes RESULTS.md and results.svg.

Each round of a scenario starts a fresh floor, a fresh Weir and a fresh mosquitto, one after the other, and lets the same load
generator run on each. README.md says what the scenarios mean.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile

import report
import rules
import servers as kinds

LOAD_CORE = 1
LOAD_TIMEOUT_S = 120
BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    text: str
    load: str  # arguments of the generator
    durable: bool = False
    forward: bool = False
    metric: str = "server_cpu_us"  # what is compared with the floor
    against: str = ""  # a scenario whose CPU this one is a multiple of


SCENARIOS = {s.name: s for s in [
    Scenario("qos0-fanin-32", "100 connections publish with QoS 0, 32 messages a write; nobody subscribes.",
             "--qos 0 --batch 32"),
    Scenario("qos0-fanin-1", "100 connections publish with QoS 0, each message in its own write; nobody subscribes.",
             "--qos 0 --batch 1"),
    Scenario("qos1-fanin-w100", "100 connections publish with QoS 1, up to 100 messages unacknowledged on each.",
             "--qos 1 --window 100 --batch 100"),
    Scenario("qos1-fanin-w1", "100 connections publish with QoS 1, each waits for every PUBACK.",
             "--qos 1 --window 1 --batch 1"),
    Scenario("qos1-durable-w100",
             "As qos1-fanin-w100, but a PUBACK means that the message is on disk: the floor appends and syncs before it "
             "answers, Weir has a rule into a stream and `sync: always`. Mosquitto keeps nothing.",
             "--qos 1 --window 100 --batch 100", durable=True, against="qos1-fanin-w100"),
    Scenario("qos1-one-subscriber", "100 connections publish with QoS 1, window 100; one QoS 1 subscriber gets everything.",
             "--qos 1 --window 100 --batch 100 --subscribers 1 --subscriber-qos 1 --ahead 1900", forward=True),
    Scenario("fanout-100", "One connection publishes with QoS 0, 100 subscribers get everything. A message is a publish.",
             "--qos 0 --publishers 1 --subscribers 100 --batch 32 --ahead 64", forward=True),
    Scenario("latency-1k", "One publisher, one subscriber, QoS 0, 1,000 messages a second: from due time to the read.",
             "--qos 0 --publishers 1 --subscribers 1 --rate 1000", forward=True, metric="delivery_p50_us"),
    Scenario("latency-20k", "One publisher, one subscriber, QoS 0, 20,000 messages a second: from due time to the read.",
             "--qos 0 --publishers 1 --subscribers 1 --rate 20000", forward=True, metric="delivery_p50_us"),
]}


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0],
                                     epilog="scenarios: " + ", ".join(SCENARIOS))
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all")
    parser.add_argument("--servers", default="floor,weir,mosquitto",
                        help="which to measure, in this order (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a run (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of 0.3 s: does it work at all?")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"),
                        help="build folder; logs and streams are written below it")
    parser.add_argument("--weir", help="Weir's binary (BUILD/weir)")
    parser.add_argument("--output", help="folder for RESULTS.md and results.svg "
                        "(bench/ if all scenarios and servers run in full; otherwise nothing is written)")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    args.servers = args.servers.split(",")
    unknown = [s for s in args.scenarios if s not in SCENARIOS] + \
              [s for s in args.servers if s not in kinds.SERVERS]
    if unknown:
        parser.error("unknown: " + ", ".join(unknown))
    complete = not args.scenarios and len(args.servers) == len(kinds.SERVERS) and not args.quick
    if complete and not args.output:
        args.output = BENCH
    args.scenarios = [SCENARIOS[s] for s in args.scenarios or SCENARIOS]
    return args


def find_binaries(args):
    """Tells the server classes where their programs are. Returns the load generator's path; exits if one is missing."""
    kinds.Floor.binary = os.path.join(args.build, "bench", "weir_floor")
    kinds.Weir.binary = os.path.abspath(args.weir or os.path.join(args.build, "weir"))
    load = os.path.join(args.build, "bench", "weir_load")
    hints = {"weir": "script/bench builds it; --servers floor,mosquitto leaves it out",
             "mosquitto": "apt-get install mosquitto; --servers floor,weir leaves it out"}
    needed = [("load generator", load)] + [(s, kinds.SERVERS[s].binary) for s in args.servers]
    missing = [(name, path) for name, path in needed if not os.access(path, os.X_OK)]
    for name, path in missing:
        say(f"There is no {name} at {path} ({hints.get(name, 'script/bench builds it')}).")
    if missing:
        sys.exit(2)
    if os.cpu_count() <= max(kinds.SERVER_CORE, LOAD_CORE):
        sys.exit("Two cores are needed: one for the server, one for the load.")
    return load


def run_load(load, scenario, server, seconds):
    command = ["taskset", "-c", str(LOAD_CORE), load, "--port", str(server.port), "--server-pid", str(server.pid),
               "--seconds", str(seconds), *shlex.split(scenario.load)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
    if done.returncode:
        raise kinds.ServerError(f"{server.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(args, load, scenario, name, directory):
    """One fresh server, one run. Returns the generator's figures."""
    server = kinds.SERVERS[name](directory, durable=scenario.durable, forward=scenario.forward)
    with server:
        return run_load(load, scenario, server, args.seconds)


def summary(figures):
    latency = "".join(f", {k.split('_')[0]} p50 {figures[k]:.0f} us"
                      for k in ("puback_p50_us", "delivery_p50_us") if k in figures)
    return (f"{figures['server_cpu_us']:9.3f} us CPU a message, {figures['messages_per_second']:11,.0f}/s, "
            f"generator {figures['load_cpu_us']:.3f} us{latency}")


def measure_all(args, load, directory):
    """Returns {scenario: [{server: figures}, one for each round]} and the sentences of what failed."""
    results, failures = {s.name: [] for s in args.scenarios}, []
    for number in range(args.rounds):
        for scenario in args.scenarios:
            results[scenario.name].append({})
            for name in args.servers:
                where = f"{scenario.name} {number + 1}/{args.rounds} {name:10}"
                try:
                    figures = measure(args, load, scenario, name, os.path.join(directory, name))
                except (kinds.ServerError, subprocess.TimeoutExpired) as error:
                    failures.append(f"{scenario.name}, round {number + 1}: {error}")
                    say(f"{where} FAILED: {error}")
                    continue
                results[scenario.name][-1][name] = figures
                say(f"{where} {summary(figures)}")
    return results, failures


def first_line(command, pattern):
    """What `pattern` finds in the output of a command; an empty string if there is nothing to find."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    except OSError:
        return ""
    found = re.search(pattern, done.stdout)
    return found.group() if found else ""


def head(args):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    command = "script/bench" + "".join(" " + shlex.quote(a) for a in sys.argv[1:])
    rows = [
        ("date", datetime.date.today().isoformat()),
        ("machine", f"{os.cpu_count()} cores, {model.group(1) if model else platform.machine()}"),
        ("system", f"Linux {platform.release().split('-')[0]}, load average {os.getloadavg()[0]:.1f} at the start"),
        ("weir", first_line(["git", "describe", "--always", "--dirty"], r"\S+") or "unknown"),
        ("mosquitto", first_line([kinds.Mosquitto.binary, "-h"], r"(?<=version )\S+")),
        ("method", f"{args.rounds} rounds of {args.seconds:g} s, server on core {kinds.SERVER_CORE}, "
                   f"generator on core {LOAD_CORE}, loopback, MQTT 3.1.1, 100-byte JSON, topics sensors/N/temp"),
        ("command", f"`{command}`"),
    ]
    return "\n".join(["| | |", "|---|---|"] + [f"| {k} | {v} |" for k, v in rows])


def kept_sections(path):
    """What streams.py and connections.py have found stands in RESULTS.md too and is not measured here."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return "".join(re.findall(r"\n## (?:Streams|Connections)\n.*?(?=\n## |\Z)", file.read(), re.S))


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    say(f"wrote {path}")


def main():
    args = parse_arguments()
    load = find_binaries(args)
    top = head(args)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.build) as directory:
        results, failures = measure_all(args, load, directory)
    text = report.markdown(top, args.scenarios, results, failures, args.servers)
    if args.output:
        os.makedirs(args.output, exist_ok=True)
        path = os.path.join(args.output, "RESULTS.md")
        text += "\n" + rules.section(rules.measure(args.build, 60, 9), "script/bench rules")
        write(path, text.rstrip("\n") + "\n" + kept_sections(path))
        write(os.path.join(args.output, "results.svg"), report.svg(args.scenarios, results, args.servers))
    else:
        print(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
