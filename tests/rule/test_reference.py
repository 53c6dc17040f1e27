"""docs/sql-conformance.md: each row that has a result is run."""
import os
import re

from evaluator import NEW, OLD
from test_property import ask

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "sql-conformance.md")
NEEDS_NEW = "needs sql_version 2016-03-23"


def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def unquoted(cell):
    return re.findall("`([^`]*)`", cell)


def payload_of(text):
    """Bytes are written \\xff."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]).decode(errors="surrogateescape"), text)


def expected_of(cell, old):
    """(whether the whole answer or a part of it, its text)"""
    if cell in ("U", "-", "unreadable"):
        return True, {"U": "", "-": "-", "unreadable": "! unreadable"}[cell]
    if cell.startswith("refused"):
        return False, unquoted(cell)[0]
    results = unquoted(cell)
    return True, payload_of(results[old if len(results) > 1 else 0])


def expression_rows(payload, expression, result):
    sql = f"SELECT VALUE {expression} FROM 'dev/#'"
    yield NEW, sql, payload, expected_of(result, False)
    yield OLD, sql, payload, expected_of(result, True)


def rows():
    """(line, version, statement, payload, what is expected)"""
    kind = payload = None
    with open(PAGE, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("Payload: "):
                payload = unquoted(line)[0]
            if line.startswith(("| expression |", "| statement |", "| row |", "| question |")):
                kind = cells(line)[0]
                continue
            if not line.startswith("| ") or line.startswith("| ---"):
                continue
            row = cells(line)
            if kind == "expression":
                yield from ((number, *one) for one in expression_rows(payload, unquoted(row[0])[0], row[1]))
            if kind == "statement":
                version = OLD if row[0].startswith("old ") else NEW
                yield number, version, unquoted(row[0])[0], payload_of(unquoted(row[1])[0]), expected_of(row[2], False)


def is_right(version, sql, answer, whole, text):
    # What only the new version has is given once.
    if version == OLD and sql.startswith("SELECT VALUE ") and NEEDS_NEW in answer:
        return True
    return answer == text if whole else answer.startswith("! ") and text in answer


def test_each_row():
    asked = list(rows())
    answers = ask([(version, sql, payload, "dev/a1/t", "") for _, version, sql, payload, _ in asked])
    wrong = [f"{PAGE}:{number}: {version} {sql}\n  on {payload!r}\n  gives {answer!r}"
             for (number, version, sql, payload, (whole, text)), answer in zip(asked, answers)
             if not is_right(version, sql, answer, whole, text)]
    assert len(asked) > 1000
    assert not wrong, "\n".join(wrong)
