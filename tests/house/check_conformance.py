#!/usr/bin/env python3
"""docs/mqtt-conformance.md and docs/sql-conformance.md name tests: each of them must exist, and each statement must say what
covers it. (Rows of the dialect that have a result are run by tests/rule/test_reference.py.)

Prints one line per breach and ends with 1 if there is any.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "docs/mqtt-conformance.md"
DIALECT = "docs/sql-conformance.md"
UNCOVERED = ("client's duty", "not used", "not covered")


def read(*parts):
    path = os.path.join(ROOT, *parts)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def exists(name, test):
    if name.endswith(".py"):
        text = read("tests", "e2e", "conformance", name) or read("tests", "e2e", name)
        return text is not None and re.search(rf"^def {test}\(", text, re.M)
    return exists_in_c("mqtt", name, test)


def exists_in_c(part, name, test):
    text = read("src", part, name)
    return text is not None and re.search(rf"^static void {test}\(", text, re.M)


def check_row(number, statement, covered, seen):
    if statement in seen:
        yield f"{PAGE}:{number}: {statement} twice"
    seen.add(statement)
    tests = re.findall(r"`(\w+\.(?:py|c))::(\w+)`", covered)
    if not tests and not covered.startswith(UNCOVERED):
        yield f"{PAGE}:{number}: {statement} names no test, and does not say why"
    for name, test in tests:
        if not exists(name, test):
            yield f"{PAGE}:{number}: {statement}: there is no {name}::{test}"


def breaches():
    seen = set()
    for number, line in enumerate(read(PAGE).split("\n"), 1):
        if line.startswith("## "):
            seen = set()  # each version has numbers of its own
        row = re.match(r"\| (MQTT-[\d.]+-\d+) \| [^|]+ \| ([^|]+) \|$", line)
        if row:
            yield from check_row(number, row.group(1), row.group(2), seen)
        elif line.startswith("| MQTT-"):
            yield f"{PAGE}:{number}: a row has three columns"


def breaches_of_dialect():
    named = False
    for number, line in enumerate(read(DIALECT).split("\n"), 1):
        if not line.startswith("| ") or line.startswith("| ---"):
            named = False if not line.startswith("|") else named
            continue
        if line == "| row | test |":
            named = True
            continue
        tests = re.findall(r"`(\w+\.c)::(\w+)`", line)
        if named and not tests and "tables above" not in line:
            yield f"{DIALECT}:{number}: names no test"
        for name, test in tests:
            if not exists_in_c("rule", name, test):
                yield f"{DIALECT}:{number}: there is no {name}::{test}"


def main():
    found = list(breaches()) + list(breaches_of_dialect())
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
