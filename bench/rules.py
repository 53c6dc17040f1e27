#!/usr/bin/python3
"""Measures what rules cost on a worker (rules.c) and writes the section "rules" of RESULTS.md.

`script/bench rules` runs it by itself; the full run of script/bench includes it.
"""
import argparse
import json
import os
import re
import subprocess
from statistics import median

BENCH = os.path.dirname(os.path.abspath(__file__))
CORE = 0
HEADING = "## rules"

# Scenario, what it is, messages that its figure is divided by.
ROWS = [
    ("nothing", "no rule takes the topic", 1),
    ("star", "`SELECT *` into a stream, with the action's own work", 1),
    ("where", "`SELECT temperature, topic(2) AS device, timestamp() AS ts FROM 'd/+/t' WHERE temperature > 50`, and it fires", 1),
    ("where-not", "the same, and it does not fire", 1),
    ("where-100", "a hundred such rules on the topic, all of them fire: for each rule", 100),
    ("among-10000", "one such rule, and 10,000 on other topics beside it", 1),
    ("route", "the rules of a topic that was not seen before, among 10,000", 1),
]


def measure(build, milliseconds, rounds):
    command = ["taskset", "-c", str(CORE), os.path.join(build, "bench", "weir_rule_bench"), str(milliseconds), str(rounds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout)


def section(figures, command):
    rounds = figures["rounds"]
    lines = [HEADING, "",
             f"The rule engine alone, on sinks that count and throw away; a reading of {figures['payload_bytes']} bytes, read and written "
             f"once for each rule that fires. CPU time of one thread, {len(rounds)} rounds, load average {os.getloadavg()[0]:.1f}; "
             f"with other work on the machine the lowest figure says most. Command: `{command}`", "",
             "|  | lowest ns | median ns |", "|---|---:|---:|"]
    for name, text, share in ROWS:
        values = [one[name] / share for one in rounds]
        lines.append(f"| {text} | {min(values):,.0f} | {median(values):,.0f} |")
    return "\n".join(lines) + "\n"


def replace(text, fresh):
    """The document with the section in its place, or at its end."""
    pattern = re.compile(re.escape(HEADING) + r"\n.*?(?=\n## |\Z)", re.S)
    if pattern.search(text):
        return pattern.sub(lambda _: fresh.rstrip("\n") + "\n", text, count=1)
    return text.rstrip("\n") + "\n\n" + fresh


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(os.path.dirname(BENCH), "build", "release"))
    parser.add_argument("--milliseconds", type=int, default=60, help="of a scenario and round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="(%(default)s)")
    parser.add_argument("--print", action="store_true", help="write nothing")
    args = parser.parse_args()
    fresh = section(measure(args.build, args.milliseconds, args.rounds), "script/bench rules")
    print(fresh)
    if not args.print:
        path = os.path.join(BENCH, "RESULTS.md")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(replace(text, fresh))


if __name__ == "__main__":
    main()
