"""Random statements on random payloads: src/rule against the evaluator of this folder.

    python3 tests/rule/test_property.py COUNT [SEED]     as many pairs as wanted; prints what differs
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evaluator import NEW, OLD, UNDEFINED, World  # noqa: E402
from generator import TOPICS, Generator, show_statement, show_template  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ANSWER = os.path.join(os.environ.get("WEIR_BUILD", os.path.join(ROOT, "build", "release")), "tests", "rule_answer")


def question(generator):
    """(version, SQL or template, payload, topic, properties in hexadecimal digits, the answers that are right)"""
    version = NEW if generator.random.random() < 0.75 else OLD
    payload, topic, (properties, written) = generator.payload(), generator.pick(TOPICS), generator.properties()
    world = World(version, payload, topic, properties)
    generator.stars = world.payload is not UNDEFINED
    if generator.random.random() < 0.05:
        template = generator.template(version)
        sql, answer = show_template(template), world.template(template)
    else:
        statement = generator.statement(version)
        sql, answer = show_statement(statement), world.statement(statement)
    return version, sql, payload, topic, written.hex(), (answer, "! exhausted") if world.long_search else (answer,)


def questions(count, seed):
    generator = Generator(seed)
    for _ in range(count):
        yield question(generator)


def ask(asked):
    """What Weir answers: a line for each."""
    lines = "".join("\t".join(one[:5]) + "\n" for one in asked)
    run = subprocess.run([ANSWER], input=lines.encode(errors="surrogateescape"), stdout=subprocess.PIPE, check=True, timeout=600)
    answers = run.stdout.decode(errors="surrogateescape").split("\n")[:-1]
    assert len(answers) == len(asked)
    return answers


def differences(count, seed):
    asked = list(questions(count, seed))
    for (version, sql, payload, topic, properties, expected), answer in zip(asked, ask(asked)):
        if answer not in expected:
            yield f"{version}\n  {sql}\n  on {payload!r}, {topic}, {properties}\n  gives   {answer!r}\n  and not {expected[0]!r}"


def test_statements_give_what_the_slow_evaluator_gives():
    found = list(differences(5000, 1))
    assert not found, "\n".join(found[:3])


def test_the_statements_are_not_all_alike():
    """The generator would be worth nothing if most rules made nothing of their messages."""
    results = [one[-1][0] for one in questions(2000, 2)]
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
