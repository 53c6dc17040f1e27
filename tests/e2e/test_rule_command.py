"""`weir rule test`: a statement tried on a message."""
import json
import subprocess

from weir import PROGRAM


def rule_test(sql, payload=None, *arguments, topic="dev/a1/t"):
    result = subprocess.run([PROGRAM, "rule", "test", "--sql", sql, "--topic", topic, *arguments,
                             *([] if payload is None else ["--payload", "-"])],
                            input=payload, capture_output=True, timeout=60)
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr.decode()


def test_a_rule_that_fires():
    code, said = rule_test("SELECT t / 3 AS third, topic(2) AS id FROM 'dev/+/t' WHERE t > 50", b'{"t": 215}',
                           "--sql-version", "2016-03-23")
    assert code == 0
    assert said == {"valid": True, "matched": True, "where": {"type": "Boolean", "value": True}, "fires": True,
                    "result": {"third": 71.66666666666666666666666666666667, "id": "a1"}}


def test_a_rule_that_does_not_and_why():
    code, said = rule_test("SELECT t FROM 'dev/+/t' WHERE t > 50", b'{"T": 215}')
    assert code == 0 and not said["fires"]
    assert said["where"] == {"type": "Undefined"} and "WHERE" in said["reason"]
    code, said = rule_test("SELECT * FROM 'other/#'", b"{}")
    assert code == 0 and not said["matched"] and not said["fires"]


def test_a_payload_from_a_file_or_none(tmp_path):
    file = tmp_path / "payload"
    file.write_bytes(b"\x01\x02\xff")
    code, said = rule_test("SELECT * FROM 'dev/#'", None, "--payload", str(file))
    assert code == 0 and said["result_base64"] == "AQL/"
    code, said = rule_test("SELECT *, 1 AS one FROM 'dev/#'")
    assert code == 0 and said["result"] == {"one": 1}
    code, said = rule_test("SELECT * FROM 'dev/#'", None, "--payload", str(tmp_path / "none"))
    assert code == 1 and "No such file" in said


def test_a_statement_with_a_mistake():
    code, said = rule_test("SELECT t\nFROM 'dev/#' WHERE nosuch(t)", b"{}")
    assert code == 1
    assert said == {"valid": False, "error": {"line": 2, "column": 20, "message": "there is no function nosuch()"}}


def test_a_wrong_command_line():
    for arguments in (["test"], ["test", "--sql", "x"], ["try"], ["test", "--sql", "x", "--topic", "t", "--sql-version", "1"]):
        result = subprocess.run([PROGRAM, "rule", *arguments], capture_output=True, text=True, timeout=60)
        assert result.returncode == 64 and "usage" in result.stderr
