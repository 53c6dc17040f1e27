"""Functions that misbehave: nothing is lost, the lag is visible, all catches up."""
import os
import stat
import subprocess

import pytest

from weir import pipeline, wait_for

# A Lambda runtime in Python's standard library: the handler is what the test puts in place of BODY.
RUNTIME = '''\
#!/usr/bin/python3 -S
import base64, http.client, json, os, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
PREFIX = "/2018-06-01/runtime"
def keep(event):
    """Appends each new record to the file; repeats are left out by sequence number."""
    path = os.environ["KEEP"]
    seen = set()
    if os.path.exists(path):
        seen = {line.split(" ", 1)[0] for line in open(path)}
    with open(path, "a") as file:
        for record in event["Records"]:
            kinesis = record["kinesis"]
            if kinesis["sequenceNumber"] not in seen:
                file.write(kinesis["sequenceNumber"] + " " + base64.b64decode(kinesis["data"]).decode() + "\\n")
def first_time(name):
    """True once per name over all restarts of the process."""
    try:
        os.close(os.open(os.environ["KEEP"] + "." + name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
def post(path, body, headers={}):
    api.request("POST", PREFIX + path, body, headers)
    answer = api.getresponse()
    answer.read()
    return answer.status
while True:
    api.request("GET", PREFIX + "/invocation/next")
    answer = api.getresponse()
    event = json.loads(answer.read())
    request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
BODY
    keep(event)
    post(f"/invocation/{request_id}/response", b"null")
'''

MISBEHAVIOURS = {
    "crashes": "    if first_time('crash'): os._exit(7)",
    "is killed": "    if first_time('kill'): os.kill(os.getpid(), 9)",
    "hangs": "    if first_time('hang'): time.sleep(3600)",
    "reports an error": """\
    if first_time('error'):
        post(f"/invocation/{request_id}/error", b'{"errorMessage": "no", "errorType": "Bad"}',
             {"Lambda-Runtime-Function-Error-Type": "Function.Bad"})
        continue""",
    "answers with the wrong id": "    if first_time('id'): assert post('/invocation/nonsense/response', b'x') == 400",
    "closes its connection": """\
    if first_time('close'):
        api.close()""",
    "does not start at first": "",
    "writes garbage to its output": "    if first_time('out'): sys.stdout.buffer.write(b'\\x00\\xff' * 100000); sys.stdout.flush()",
}


def function_config(weir, body, timeout="1s"):
    program = weir.path("function.py")
    with open(program, "w", encoding="utf-8") as file:
        file.write(RUNTIME.replace("BODY", body))
    os.chmod(program, 0o755)
    return pipeline(functions={"keeper": {"command": ["./function.py"], "timeout": timeout, "memory_size": "512MiB",
                                          "environment": {"KEEP": weir.path("kept")}}},
                    event_source_mappings=[{"stream": "sensors", "function": "keeper", "batch_size": 10,
                                            "starting_position": "TRIM_HORIZON"}])


def publish(weir, *payloads):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-l", "-q", "1"],
                   input="".join(f"{p}\n" for p in payloads), text=True, check=True, timeout=30)


def kept(weir):
    with open(weir.path("kept"), encoding="utf-8") as file:
        return [line.rstrip("\n").split(" ", 1)[1] for line in file]


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_function_that(make_weir, name):
    weir = make_weir(start=False)
    weir.write_config(function_config(weir, MISBEHAVIOURS[name]))
    late = name == "does not start at first"
    if late:
        os.chmod(weir.path("function.py"), stat.S_IRUSR)
    weir.start()
    expected = [str(i) for i in range(50)]
    publish(weir, *expected)
    if late:
        wait_for(lambda: weir.metric("weir_mapping_lag_records") == 50, what="visible lag")
        assert "function.py" in weir.log()
        os.chmod(weir.path("function.py"), 0o755)
    wait_for(lambda: kept(weir) == expected, timeout_s=40, what="all records, once, in order")
    wait_for(lambda: weir.metric("weir_mapping_lag_records") == 0, what="no lag")


def test_the_checkpoint_survives_a_restart(make_weir):
    weir = make_weir(start=False)
    weir.write_config(function_config(weir, ""))
    weir.start()
    publish(weir, *range(20))
    wait_for(lambda: len(kept(weir)) == 20, what="twenty records")
    assert weir.stop() == 0
    os.unlink(weir.path("kept"))
    weir.start()
    publish(weir, "after")
    wait_for(lambda: kept(weir) == ["after"], what="the new record alone")


def test_log_lines_frame_the_functions_own(make_weir):
    weir = make_weir(start=False)
    weir.write_config(function_config(weir, "    print('hello from the handler', flush=True)"))
    weir.start()
    publish(weir, "x")
    wait_for(lambda: "REPORT RequestId" in weir.log(), what="the REPORT line")
    log = weir.log()
    assert log.index("START RequestId") < log.index("hello from the handler") < log.index("END RequestId")
    assert "Billed Duration" in log and "Memory Size: 512 MB" in log


def test_children_die_with_weir(make_weir):
    weir = make_weir(start=False)
    weir.write_config(function_config(weir, ""))
    weir.start()
    publish(weir, "x")
    wait_for(lambda: kept(weir) == ["x"], what="the record")

    def children():
        result = subprocess.run(["pgrep", "-f", weir.directory], capture_output=True, text=True)
        return [pid for pid in result.stdout.split() if int(pid) != os.getpid()]

    assert children()
    weir.kill()
    wait_for(lambda: not children(), what="the end of all children")

