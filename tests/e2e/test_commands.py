"""The command line, reload and sense."""
import json
import signal
import subprocess
import time

import pytest

from weir import PROGRAM, ROOT, SANITIZED, pipeline, sensors_rule, wait_for


def run(*arguments, **keywords):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, **keywords)


def publish(weir, *payloads, topic="topic/sensors"):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", topic, "-l", "-q", "1"],
                   input="".join(f"{p}\n" for p in payloads), text=True, check=True, timeout=30)


def test_the_example_is_valid():
    result = run("check", "examples/sensors.yaml", cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_help_and_unknown_commands():
    assert "weir run -c FILE" in run("help").stdout
    assert "retention_period" in run("help", "config").stdout
    assert run("version").stdout.startswith("weir ")
    result = run("fly")
    assert result.returncode == 64 and "fly" in result.stderr
    result = run("stream", "read", "x", "--sahrd", "1")
    assert result.returncode == 64 and "--sahrd" in result.stderr


def test_streams_can_be_listed_and_read_while_running(weir):
    publish(weir, "a", "b", "c")
    data = weir.path("data")
    assert "sensors" in run("stream", "ls", "--data", data).stdout
    lines = run("stream", "read", "sensors", "--data", data).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["data"] for record in records] == ["a", "b", "c"]
    assert [record["shard"] for record in records] == ["shardId-000000000000"] * 3
    numbers = [int(record["sequence_number"]) for record in records]
    assert numbers == sorted(numbers) and all(len(record["sequence_number"]) == 56 for record in records)
    assert run("stream", "read", "sensors", "--data", data, "--raw").stdout == "a\nb\nc\n"
    after = run("stream", "read", "sensors", "--data", data, "--raw", "--from", records[1]["sequence_number"]).stdout
    assert after == "b\nc\n"
    assert run("stream", "read", "sensors", "--data", data, "--raw", "--from", records[0]["arrival"]).stdout == "a\nb\nc\n"
    assert run("stream", "read", "sensors", "--data", data, "--from", "LATEST").stdout == ""
    assert "no position" in run("stream", "read", "sensors", "--data", data, "--from", "yesterday").stderr
    assert run("stream", "read", "none", "--data", data).returncode == 1


def test_output_that_cannot_be_written_is_no_success(weir):
    publish(weir, "a", "b", "c")
    read = [PROGRAM, "stream", "read", "sensors", "--data", weir.path("data"), "--raw"]
    for command in ([PROGRAM, "help", "config"], [PROGRAM, "version"], read, [*read, "--consumer", "full"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert result.returncode == 1 and "could not be written" in result.stderr, command
    assert subprocess.run([*read, "--consumer", "full"], capture_output=True, text=True, timeout=60).stdout == "a\nb\nc\n"


def test_follow_shows_records_as_they_come(weir):
    publish(weir, "before")
    reader = subprocess.Popen([PROGRAM, "stream", "read", "sensors", "--data", weir.path("data"), "--raw", "--follow", "--count", "2"],
                              stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "before\n"
    publish(weir, "after")
    assert reader.stdout.readline() == "after\n"
    assert reader.wait(20) == 0


def test_sighup_changes_rules_at_once_or_not_at_all(weir):
    publish(weir, "not kept", topic="other/place")
    config = pipeline()
    config["rules"] = {"other": sensors_rule("other/#")}
    weir.write_config(config)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in weir.log(), what="the reload")
    publish(weir, "kept", topic="other/place")
    publish(weir, "not kept", topic="topic/sensors")
    assert [record["data"] for record in weir.stream_records()] == ["kept"]
    config["rules"]["other"]["sql"] = "SELECT * FORM 'other/#'"
    weir.write_config(config)
    weir.signal(signal.SIGHUP)
    wait_for(lambda: "not reloaded" in weir.log(), what="the refusal")
    publish(weir, "kept too", topic="other/place")
    assert [record["data"] for record in weir.stream_records()] == ["kept", "kept too"]


def test_sense_publishes_this_hosts_sensors(weir):
    result = subprocess.run([PROGRAM, "sense", "--url", f"mqtt://127.0.0.1:{weir.port()}", "--prefix", "topic/sensors",
                             "--interval", "100ms", "--rounds", "3"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    readings = [json.loads(record["data"]) for record in weir.stream_records()]
    sensors = {reading["sensor"] for reading in readings}
    assert {"load", "memory", "disk", "cpu"} <= sensors
    assert all(abs(reading["timestamp"] / 1000 - time.time()) < 60 for reading in readings)


def test_sense_reconnects(make_weir):
    weir = make_weir()
    port = weir.port()
    config = pipeline(mqtt={"listeners": [{"bind": f"127.0.0.1:{port}"}]})
    sense = subprocess.Popen([PROGRAM, "sense", "--url", f"mqtt://127.0.0.1:{port}", "--prefix", "topic/sensors", "--interval", "50ms"],
                             stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(weir.stream_records()) > 3, what="readings")
        assert weir.stop() == 0
        weir.write_config(config)
        weir.start()
        count = len(weir.stream_records())
        wait_for(lambda: len(weir.stream_records()) > count + 3, what="more readings after the restart")
    finally:
        sense.terminate()
        assert sense.wait(20) == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the product's")
def test_an_idle_weir_is_small(make_weir):
    """Without redis-server and functions, which are processes of their own."""
    weir = make_weir(pipeline(functions=None, event_source_mappings=None))
    wait_for(lambda: weir.redis().ping(), what="redis")
    with open(f"/proc/{weir.process.pid}/status", encoding="utf-8") as file:
        resident_kib = int(next(line for line in file if line.startswith("VmRSS")).split()[1])
    assert resident_kib < 15 * 1024, f"{resident_kib} KiB resident"


def test_sigterm_under_load_ends_cleanly(weir):
    sense = [subprocess.Popen([PROGRAM, "sense", "--url", f"mqtt://127.0.0.1:{weir.port()}", "--interval", "10ms"],
                              stderr=subprocess.DEVNULL) for _ in range(5)]
    try:
        wait_for(lambda: len(weir.stream_records()) > 100, what="readings")
        assert weir.stop() == 0
        assert "error" not in [line.split()[1] for line in weir.log().splitlines() if line]
    finally:
        for process in sense:
            process.terminate()
            process.wait(20)


