"""`weir stream` on a stream of each engine, beside a running program and without one."""
import json
import signal
import socket
import subprocess

import pytest

from engines import Kafka, api_config, kinesis_settings
from test_engines import SHARDS, client, put_many, put_to, shard_id
from weir import PROGRAM, wait_for


def run(weir, *arguments, config=True):
    where = ["-c", weir.config_path] if config else ["--data", weir.path("data")]
    return subprocess.run([PROGRAM, "stream", *arguments, *where], cwd=weir.directory, capture_output=True, text=True, timeout=60)


def read(weir, *arguments):
    result = run(weir, "read", "sensors", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture(params=["log", "kafka", "kinesis"])
def weir(request, make_weir):
    own = {"shard_count": SHARDS}
    cluster = Kafka() if request.param == "kafka" else None
    if cluster:
        stream = {"kafka": cluster.settings(cluster.topic(SHARDS))}
    elif request.param == "kinesis":
        other = make_weir(api_config({"sensors": own}))
        stream = {"kinesis": kinesis_settings(other)}
    else:
        stream = own
    weir = make_weir(api_config({"sensors": stream, "beside": {}}))
    weir.engine, weir.is_mock = request.param, cluster is not None and cluster.mock
    yield weir
    if cluster:
        cluster.close()


def test_all_of_it_is_listed_and_read(weir):
    """More than one answer of a Kinesis holds."""
    put = put_many(client(weir), 5000)
    for runs in (True, False):
        if not runs:
            weir.stop()
        lines = run(weir, "ls").stdout.splitlines()
        assert [line.split()[:2] for line in lines[1:]] == [["beside", shard_id(0)]] + [["sensors", shard_id(i)] for i in range(SHARDS)]
        for line in lines[2:]:
            _, shard, records, size, oldest, newest = line.split()
            assert records == ("-" if weir.engine == "kinesis" else str(len(put[shard])))
            assert (size == "-") == (weir.engine != "log") and oldest.startswith("20")
            assert (newest == "-") == (weir.engine == "kinesis")
        records = [json.loads(line) for line in read(weir)]
        assert len(records) == 5000
        for shard, wanted in put.items():
            found = [(record["sequence_number"], record["data"].encode()) for record in records if record["shard"] == shard]
            assert found == wanted


def test_positions_and_bounds(weir):
    kinesis = client(weir)
    numbers = [put_to(kinesis, 1, f"{i}".encode()) for i in range(5)]
    one = ("--shard", "1", "--raw")
    assert read(weir, *one, "--from", numbers[3]) == ["3", "4"]
    assert read(weir, *one, "--count", "2") == ["0", "1"]
    assert read(weir, *one, "--from", "LATEST") == []
    assert read(weir, "--shard", "0") == []
    if not weir.is_mock:  # which looks up no times
        assert read(weir, *one, "--from", "2020-01-01T00:00:00Z") == ["0", "1", "2", "3", "4"]
    wrong = run(weir, "read", "sensors", "--shard", "0", "--from", numbers[3])
    assert wrong.returncode == 1 and "no position of shard 0" in wrong.stderr
    assert run(weir, "read", "sensors", "--shard", "3").returncode == 1


def test_consumers_go_on_where_they_stopped(weir):
    kinesis = client(weir)
    for i in range(3):
        put_to(kinesis, 1, f"{i}".encode())
    mine = ("--raw", "--consumer", "mine")
    assert read(weir, *mine, "--count", "2") == ["0", "1"]
    assert read(weir, *mine) == ["2"]
    assert read(weir, *mine) == []
    put_to(kinesis, 1, b"3")
    line = run(weir, "consumers", "ls").stdout.splitlines()[1].split()
    assert line[:3] == ["sensors", "mine", "-" if weir.engine == "kinesis" else "1"]
    weir.stop()
    if weir.engine == "kinesis" or not weir.is_mock:
        assert read(weir, *mine) == ["3"]
    assert run(weir, "consumers", "rm", "sensors", "mine").returncode == 0


def test_what_comes_is_followed(weir):
    kinesis = client(weir)
    put_to(kinesis, 0, b"before")
    reader = subprocess.Popen([PROGRAM, "stream", "read", "sensors", "--raw", "--follow", "--count", "3", "-c", weir.config_path],
                              cwd=weir.directory, stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "before\n"
    put_to(kinesis, 2, b"after")
    assert reader.stdout.readline() == "after\n"
    put_to(kinesis, 0, b"last")
    assert reader.stdout.read() == "last\n" and reader.wait(20) == 0


def test_without_the_configuration_it_is_told_where_to_look(weir):
    result = run(weir, "read", "sensors", config=False)
    if weir.engine == "log":
        assert result.returncode == 0
    else:
        assert result.returncode == 1 and "-c FILE" in result.stderr


def test_a_name_that_is_nowhere_is_told(make_weir):
    result = run(make_weir(api_config({"beside": {}})), "read", "none")
    assert result.returncode == 1 and "there is no stream none in" in result.stderr and "the configuration" in result.stderr


@pytest.mark.parametrize("engine", ["kafka", "kinesis"])
def test_what_is_waited_for_is_said_and_may_be_left(make_weir, engine):
    """An engine that takes connections and says nothing."""
    weir = make_weir(api_config({"beside": {}}))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        far = {"kafka": {"brokers": [address]}} if engine == "kafka" else {
            "kinesis": {"endpoint": f"http://{address}", "access_key_id": "a", "secret_access_key": "b"}}
        weir.write_config(api_config({"beside": {}, "far": far}))
        listing = subprocess.Popen([PROGRAM, "stream", "ls", "-c", weir.config_path], cwd=weir.directory, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        line = listing.stderr.readline()
        listing.send_signal(signal.SIGINT)
        out, errors = listing.communicate(timeout=20)
    assert listing.returncode == 130
    assert "waiting for " in line and address in line and "stream far" in line
    assert "beside" in out and errors == ""


def test_an_engine_that_is_down_is_named_and_hides_no_other(make_weir):
    weir = make_weir(api_config({"beside": {}}))
    other = {"endpoint": "http://127.0.0.1:1", "access_key_id": "a", "secret_access_key": "b"}
    weir.write_config(api_config({"beside": {}, "far": {"kinesis": other}}))
    result = run(weir, "ls")
    assert result.returncode == 1 and "beside" in result.stdout
    waiting, failure = result.stderr.splitlines()
    assert "waiting for Kinesis at http://127.0.0.1:1" in waiting
    assert "far" in failure and "127.0.0.1:1" in failure
