"""Random statements on random payloads: src/rule against the evaluator of this folder.

    python3 tests/rule/test_property.py COUNT [SEED]     as many pairs as wanted; prints what differs
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evaluator import NEW, OLD, World  # noqa: E402
from generator import Generator, show_statement  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ANSWER = os.path.join(os.environ.get("WEIR_BUILD", os.path.join(ROOT, "build", "release")), "tests", "rule_answer")
TOPIC = "dev/a1/t"


def questions(count, seed):
    generator = Generator(seed)
    for _ in range(count):
        version = NEW if generator.random.random() < 0.75 else OLD
        statement, payload = generator.statement(version), generator.payload()
        yield version, show_statement(statement), payload, World(version, payload, TOPIC).statement(statement)


def differences(count, seed):
    asked = list(questions(count, seed))
    lines = "".join(f"{version}\t{sql}\t{payload}\t{TOPIC}\n" for version, sql, payload, _ in asked)
    answers = subprocess.run([ANSWER], input=lines.encode(), stdout=subprocess.PIPE, check=True, timeout=600).stdout.decode()
    answers = answers.split("\n")[:-1]
    assert len(answers) == len(asked)
    for (version, sql, payload, expected), answer in zip(asked, answers):
        if answer != expected:
            yield f"{version}\n  {sql}\n  on {payload}\n  gives   {answer}\n  and not {expected}"


def test_statements_give_what_the_slow_evaluator_gives():
    found = list(differences(5000, 1))
    assert not found, "\n".join(found[:3])


def test_the_statements_are_not_all_alike():
    """The generator would be worth nothing if most rules made nothing of their messages."""
    results = [expected for _, _, _, expected in questions(2000, 2)]
    assert sum(result not in ("-", "", "{}") for result in results) > 700
    assert len(set(results)) > 600


if __name__ == "__main__":
    total, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    failed = 0
    for block in range(0, total, 5000):
        for difference in differences(min(5000, total - block), first + block):
            failed += 1
            if failed <= 20:
                print(difference, flush=True)
    print(f"{total - failed} passed, {failed} failed")
    sys.exit(failed > 0)
