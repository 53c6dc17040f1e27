"""Stores that break while a batch of an action is under way: real servers, killed with -9 or cut off at the wrong moment."""
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from engines import Kafka
from test_store_actions import config_for, errors, postgres, publish, read_topic  # noqa: F401: postgres is a fixture
from weir import wait_for

SUCCESS = 'weir_rule_action_success_total{rule="r",action="postgres"}'


def to_postgres(server, port=None, **more):
    url = server.url() if port is None else f"postgresql://weir@127.0.0.1:{port}/postgres"
    return config_for({"postgres": {"connection": url, "table": "reading", "columns": {"n": "${n}"}, **more}})


class Gate:
    """A row that a batch cannot pass while the gate is shut: its trigger waits for a lock that a session of the test holds."""

    def __init__(self, server):
        self.server, self.holder = server, None
        server.sql("CREATE TABLE reading (n integer); CREATE TABLE gate (n integer);"
                   "CREATE FUNCTION pass() RETURNS trigger AS $$ BEGIN"
                   " IF NEW.n IN (SELECT n FROM gate) THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN NEW; END $$ LANGUAGE plpgsql;"
                   "CREATE TRIGGER pass BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION pass()")

    def shut(self, row):
        self.server.sql(f"INSERT INTO gate VALUES ({row})")
        self.holder = subprocess.Popen(["psql", "-X", "-q", "-d", self.server.url(), "-c", "SELECT pg_advisory_lock(1)",
                                        "-c", "SELECT pg_sleep(600)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.server.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"), what="the lock")

    def waiting(self):
        """The process of the server that stands before the gate in the middle of a transaction."""
        found = self.server.sql("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(found[0]) if found else None

    def open(self):
        """The session's client alone would not end what the session does."""
        self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'")
        self.holder.kill()
        self.holder.wait()


def kill_backend(server, pid):
    os.kill(pid, signal.SIGKILL)  # the server ends all its sessions and recovers


def terminate_backend(server, pid):
    server.sql(f"SELECT pg_terminate_backend({pid})")


def kill_server(server, pid):
    with open(os.path.join(server.directory, "db", "postmaster.pid"), encoding="utf-8") as file:
        postmaster = int(file.readline())
    os.kill(postmaster, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}") and not alive(postmaster), what="the end of the server")
    server.start()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_postgresql_is_killed_in_the_middle_of_a_batch(make_weir, postgres):  # noqa: F811
    """The transaction that was open has left nothing, so each row is there once, though the table has no key."""
    gate = Gate(postgres)
    weir = make_weir(to_postgres(postgres))
    for round_, kill in enumerate((terminate_backend, kill_backend, kill_server)):
        first = round_ * 300
        gate.shut(first + 150)
        publish(weir, "s/gw", [json.dumps({"n": first + i}) for i in range(300)])
        pid = wait_for(gate.waiting, what="a batch before the gate")
        stored = int(postgres.sql("SELECT count(*) FROM reading")[0])
        assert weir.metrics()[SUCCESS] == stored <= first + 150  # nothing is acknowledged that is not stored
        wait_for(lambda: weir.metrics()['weir_action_lag_records{rule="r",action="postgres",log="r-1-postgres"}'] >= first + 300 - stored,
                 what="what is not stored to wait")
        kill(postgres, pid)
        wait_for(lambda: postgres.sql("SELECT 1") == ["1"], what="the server")
        gate.open()
        wait_for(lambda: int(postgres.sql("SELECT count(*) FROM reading")[0]) >= first + 300, timeout_s=60, what="all rows")
        wait_for(lambda: weir.metrics()[SUCCESS] == first + 300, what="the counter")
    assert postgres.sql("SELECT count(*), count(DISTINCT n), max(n) FROM reading") == ["900|900|899"]
    assert errors(weir) == []


def test_weir_is_killed_while_postgresql_has_half_a_batch(make_weir, postgres):  # noqa: F811
    gate = Gate(postgres)
    weir = make_weir(to_postgres(postgres))
    gate.shut(150)
    publish(weir, "s/gw", [json.dumps({"n": i}) for i in range(300)])
    pid = wait_for(gate.waiting, what="a batch before the gate")
    weir.kill()
    gate.open()
    wait_for(lambda: not postgres.sql(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"), what="the end of the session")
    weir.start()
    wait_for(lambda: postgres.sql("SELECT count(DISTINCT n) FROM reading") == ["300"], timeout_s=60, what="all rows")


class Wire:
    """Between Weir and the server: can keep what the server answers to itself, and cut the connection."""

    def __init__(self, port):
        self.port, self.is_deaf, self.sockets = port, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            self.sockets += [client, server]
            threading.Thread(target=self.copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, True), daemon=True).start()

    def copy(self, source, target, is_answer):
        try:
            while data := source.recv(65536):
                if not (is_answer and self.is_deaf):
                    target.sendall(data)
        except OSError:
            pass  # it was cut

    def cut(self):
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended
        self.sockets = []

    def close(self):
        self.listener.close()
        self.cut()


@pytest.mark.parametrize("has_key", [True, False])
def test_a_commit_that_was_not_heard_of(make_weir, postgres, has_key):  # noqa: F811
    """Rows are sent again; a key and on_conflict_do_nothing make that harmless, as the documentation says."""
    postgres.sql(f"CREATE TABLE reading (n integer {'PRIMARY KEY' if has_key else ''})")
    wire = Wire(postgres.port)
    weir = make_weir(to_postgres(postgres, wire.listener.getsockname()[1], on_conflict_do_nothing=has_key))
    publish(weir, "s/gw", ['{"n": 0}'])
    wait_for(lambda: weir.metrics()[SUCCESS] == 1, what="the first row")
    wire.is_deaf = True
    publish(weir, "s/gw", [json.dumps({"n": i}) for i in range(1, 100)])
    stored = wait_for(lambda: (count := int(postgres.sql("SELECT count(*) FROM reading")[0])) > 1 and count, what="a commit")
    assert weir.metrics()[SUCCESS] == 1
    wire.is_deaf = False
    wire.cut()
    wait_for(lambda: weir.metrics()[SUCCESS] == 100, timeout_s=60, what="all rows")
    assert postgres.sql("SELECT count(DISTINCT n) FROM reading") == ["100"]
    assert postgres.sql("SELECT count(*) FROM reading") == [str(100 if has_key else 100 + stored - 1)]
    assert errors(weir) == []
    wire.close()


def test_kafka_s_brokers_come_and_go_while_batches_are_under_way(make_weir):
    kafka = Kafka()
    topic = kafka.topic(2)
    try:
        config = config_for({"kafka": {"client_properties": {"bootstrap.servers": ",".join(kafka.brokers)},
                                       "topic": topic, "key": "${topic(2)}"}})
        config["streams"]["t"] = {"kafka": kafka.settings(topic)}
        config["api"] = {"bind": "127.0.0.1:0", "auth": "open"}
        weir = make_weir(config)
        for round_ in range(int(os.environ.get("WEIR_KAFKA_ROUNDS", "3"))):
            sender = threading.Thread(target=publish, args=(weir, "s/a", [json.dumps({"n": round_ * 2000 + i}) for i in range(2000)]))
            sender.start()
            kafka.down()
            kafka.up()
            sender.join()
            sent = (round_ + 1) * 2000
        wait_for(lambda: len({record["Data"] for shard in read_topic(weir) for record in shard}) == sent, timeout_s=90,
                 what="all messages")
        numbers = [json.loads(record["Data"])["n"] for shard in read_topic(weir) for record in shard]
        assert list(dict.fromkeys(numbers)) == list(range(sent))  # one key, so one partition, in order
        wait_for(lambda: weir.metrics()['weir_rule_action_success_total{rule="r",action="kafka"}'] == sent, what="the counter")
        assert errors(weir) == []
    finally:
        kafka.close()
