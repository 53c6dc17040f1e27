"""Rule actions into stores written by others: InfluxDB and PostgreSQL as Debian packages them, and the bulk API."""
import http.server
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request

import boto3
import pytest

from engines import Kafka
from weir import free_port, pipeline, wait_for


def config_for(action, sql="SELECT * FROM 's/+'"):
    rules = {"r": {"sql": sql, "actions": [action],
                   "error_action": {"kinesis": {"stream_name": "sensors", "partition_key": "k"}}}}
    return pipeline(rules=rules, functions=None, event_source_mappings=None)


def publish(weir, topic, payloads):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", topic, "-l", "-q", "1"],
                   input="".join(payload + "\n" for payload in payloads), text=True, check=True, timeout=30)


def errors(weir):
    """What the error action got."""
    return [json.loads(record["data"]) for record in weir.stream_records("sensors")]


class Influx:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="influx-")
        self.port = free_port()
        with open(os.path.join(self.directory, "influxdb.conf"), "w", encoding="utf-8") as file:
            file.write(f'bind-address = "127.0.0.1:0"\nreporting-disabled = true\n'
                       f'[meta]\ndir = "{self.directory}/meta"\n'
                       f'[data]\ndir = "{self.directory}/data"\nwal-dir = "{self.directory}/wal"\n'
                       f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
                       f'[monitor]\nstore-enabled = false\n')
        self.process = None

    def start(self):
        self.process = subprocess.Popen(["influxd", "-config", os.path.join(self.directory, "influxdb.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self.query("SHOW DATABASES"), timeout_s=60, what="InfluxDB")
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def query(self, text):
        query = urllib.parse.urlencode({"db": "plant", "q": text})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/query?{query}", data=b"", timeout=10) as answer:
            return json.load(answer)["results"][0]

    def rows(self, measurement):
        series = self.query(f'SELECT * FROM "{measurement}"').get("series", [])
        return [dict(zip(series[0]["columns"], values)) for values in series[0]["values"]] if series else []


@pytest.fixture
def influx():
    server = Influx().start()
    yield server
    server.stop()
    shutil.rmtree(server.directory)


def test_points_in_influxdb_through_an_outage(make_weir, influx):
    influx.query("CREATE DATABASE plant")
    weir = make_weir(config_for({"influxdb": {
        "url": f"http://127.0.0.1:{influx.port}", "database_name": "plant", "table_name": "reading",
        "tags": {"device": "${topic(2)}"}, "fields": {"t": "${t}", "unit": "${unit}"}}}))
    publish(weir, "s/gw", [json.dumps({"t": i + 0.5, "unit": "°C"}) for i in range(500)])
    wait_for(lambda: len(influx.rows("reading")) == 500, what="500 points")
    influx.stop()
    publish(weir, "s/gw", [json.dumps({"t": i + 0.5, "unit": "°C"}) for i in range(500, 1000)])
    wait_for(lambda: weir.metric("weir_action_lag_records") >= 500, what="visible lag")
    influx.start()
    wait_for(lambda: len(influx.rows("reading")) == 1000, timeout_s=60, what="1000 points")
    rows = influx.rows("reading")
    assert [row["t"] for row in rows] == [i + 0.5 for i in range(1000)]  # by time, so in order too
    assert {(row["device"], row["unit"]) for row in rows} == {("gw", "°C")}


def test_the_point_that_influxdb_refuses_goes_to_the_error_action_alone(make_weir, influx):
    influx.query("CREATE DATABASE plant")
    weir = make_weir(config_for({"influxdb": {
        "url": f"http://127.0.0.1:{influx.port}", "database_name": "plant", "table_name": "m"}}))
    publish(weir, "s/gw", ['{"t": 1}', '{"t": "text now"}', '{"t": 3}', "no JSON", '{"t": 5}'])
    wait_for(lambda: len(errors(weir)) == 2, what="two failures")
    assert sorted(row["t"] for row in influx.rows("m")) == [1, 3, 5]
    first, second = errors(weir)
    assert first["failures"][0]["failedAction"] == "InfluxdbAction"
    assert {"field type conflict" in first["failures"][0]["errorMessage"],
            "no JSON object" in second["failures"][0]["errorMessage"]} in ({True}, {False})


class Postgres:
    """PostgreSQL refuses to run as root."""

    BIN = "/usr/lib/postgresql/15/bin"

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="postgres-")
        self.port = free_port()
        self.user = None
        if os.geteuid() == 0:
            self.user = pwd.getpwnam("postgres")
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-D", f"{self.directory}/db", "-U", "weir", "-A", "trust", "--no-sync")

    def run(self, program, *arguments):
        subprocess.run([os.path.join(self.BIN, program), *arguments], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=self.directory, timeout=60,
                       user=self.user.pw_uid if self.user else None, group=self.user.pw_gid if self.user else None)

    def start(self):
        self.run("pg_ctl", "-D", f"{self.directory}/db", "-w", "-l", f"{self.directory}/log",
                 "-o", f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory} -c fsync=off",
                 "start")
        return self

    def stop(self):
        self.run("pg_ctl", "-D", f"{self.directory}/db", "-w", "-m", "immediate", "stop")

    def url(self):
        return f"postgresql://weir@127.0.0.1:{self.port}/postgres"

    def sql(self, text):
        answer = subprocess.run(["psql", "-X", "-A", "-t", "-d", self.url(), "-c", text], check=True, capture_output=True,
                                text=True, timeout=30)
        return answer.stdout.split("\n")[:-1]


@pytest.fixture
def postgres():
    server = Postgres().start()
    yield server
    server.stop()
    shutil.rmtree(server.directory)


def test_rows_in_postgresql_through_an_outage(make_weir, postgres):
    postgres.sql("CREATE TABLE reading (id text PRIMARY KEY, device text, t double precision, whole jsonb)")
    weir = make_weir(config_for({"postgres": {
        "connection": postgres.url(), "table": "public.reading", "on_conflict_do_nothing": True,
        "columns": {"id": "${topic(2)}-${n}", "device": "${topic(2)}", "t": "${n / 2.0}", "whole": "@{payload}"}}},
        sql="SELECT n, topic() AS topic FROM 's/+'"))
    publish(weir, "s/gw", [json.dumps({"n": i}) for i in range(1200)])
    wait_for(lambda: postgres.sql("SELECT count(*) FROM reading") == ["1200"], what="1200 rows")
    postgres.stop()
    publish(weir, "s/gw", [json.dumps({"n": i}) for i in range(1200, 2000)])
    wait_for(lambda: weir.metric("weir_action_lag_records") >= 800, what="visible lag")
    postgres.start()
    wait_for(lambda: postgres.sql("SELECT count(*) FROM reading") == ["2000"], timeout_s=60, what="2000 rows")
    assert postgres.sql("SELECT id, device, t, whole->>'topic' FROM reading WHERE id = 'gw-1999'") == ["gw-1999|gw|999.5|s/gw"]
    assert errors(weir) == []


def test_rows_that_postgresql_refuses_go_to_the_error_action_alone(make_weir, postgres):
    postgres.sql("CREATE TABLE reading (n integer UNIQUE, note text)")
    weir = make_weir(config_for({"postgres": {"connection": postgres.url(), "table": "reading",
                                              "columns": {"n": "${n}", "note": "${note}"}}}))
    publish(weir, "s/gw", ['{"n": 1}', '{"n": "one"}', '{"n": 2, "note": "it\'s; DROP TABLE reading"}', '{"n": 1}', '{"n": 3}'])
    wait_for(lambda: len(errors(weir)) == 2, what="two failures")
    wait_for(lambda: len(postgres.sql("SELECT * FROM reading")) == 3, what="the good rows")
    assert postgres.sql("SELECT * FROM reading ORDER BY n") == ["1|", "2|it's; DROP TABLE reading", "3|"]
    whys = sorted(error["failures"][0]["errorMessage"] for error in errors(weir))
    assert "duplicate key" in whys[0] and "invalid input syntax" in whys[1], whys


def test_a_table_that_is_made_later(make_weir, postgres):
    weir = make_weir(config_for({"postgres": {"connection": postgres.url(), "table": "late", "columns": {"n": "${n}"}}}))
    publish(weir, "s/gw", ['{"n": 7}'])
    wait_for(lambda: 'relation "late" does not exist' in weir.log(), what="the reason in the log")
    postgres.sql("CREATE TABLE late (n integer)")
    wait_for(lambda: postgres.sql("SELECT n FROM late") == ["7"], timeout_s=60, what="the row")


def read_topic(weir):
    """What the stream `t` on the topic holds, shard by shard, as the Kinesis API tells it."""
    kinesis = boto3.client("kinesis", endpoint_url=f"http://127.0.0.1:{weir.port('api')}", region_name="us-east-1",
                           aws_access_key_id="x", aws_secret_access_key="x")
    shards = []
    for shard in kinesis.list_shards(StreamName="t")["Shards"]:
        where = kinesis.get_shard_iterator(StreamName="t", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        answer, records = {"NextShardIterator": where["ShardIterator"], "MillisBehindLatest": 1}, []
        while answer["MillisBehindLatest"]:
            answer = kinesis.get_records(ShardIterator=answer["NextShardIterator"])
            records += answer["Records"]
        shards.append(records)
    return shards


def test_messages_on_a_kafka_topic_through_an_outage(make_weir):
    kafka = Kafka()
    topic = kafka.topic(3)
    try:
        action = {"kafka": {"client_properties": {"bootstrap.servers": ",".join(kafka.brokers), "key.serializer": "StringSerializer"},
                            "topic": topic, "key": "${topic(2)}", "headers": [{"key": "unit", "value": "${unit}"}]}}
        config = config_for(action)
        config["streams"]["t"] = {"kafka": kafka.settings(topic)}
        config["api"] = {"bind": "127.0.0.1:0", "auth": "open"}
        weir = make_weir(config)
        for device in ("a", "b", "c"):
            publish(weir, f"s/{device}", [json.dumps({"n": i, "unit": "V"}) for i in range(100)])
        wait_for(lambda: sum(map(len, read_topic(weir))) == 300, what="300 messages")
        kafka.down()
        publish(weir, "s/a", [json.dumps({"n": i}) for i in range(100, 150)])
        wait_for(lambda: weir.metric("weir_action_lag_records") >= 50, what="visible lag")
        kafka.up()
        wait_for(lambda: sum(map(len, read_topic(weir))) >= 350, timeout_s=90, what="all messages")
        for shard in read_topic(weir):
            for device in {record["PartitionKey"] for record in shard}:
                numbers = [json.loads(record["Data"])["n"] for record in shard if record["PartitionKey"] == device]
                assert list(dict.fromkeys(numbers)) == list(range(150 if device == "a" else 100))
    finally:
        kafka.close()


def test_what_kafka_s_client_does_not_know_is_refused_with_its_place(make_weir):
    config = config_for({"kafka": {"client_properties": {"bootstrap.servers": "127.0.0.1:1", "linger": "5"}, "topic": "t"}})
    weir = make_weir(config, start=False)
    with pytest.raises(AssertionError, match=r"weir.yaml:\d+:\d+: kafka: .*linger"):
        weir.start()


class BulkStore(http.server.BaseHTTPRequestHandler):
    """The bulk API as Elasticsearch 8 documents it. There is no such store in Debian."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        assert self.path == "/_bulk" and self.headers["Content-Type"] == "application/x-ndjson" and lines[-1] == b""
        items = [self.take(json.loads(head)["index"], json.loads(document)) for head, document in zip(lines[0:-1:2], lines[1::2])]
        body = json.dumps({"took": 1, "errors": any(item["index"]["status"] >= 300 for item in items), "items": items}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def take(self, where, document):
        store = self.server.store
        if document["t"] == "bad":
            error = {"type": "document_parsing_exception", "reason": "failed to parse field [t] of type [float]"}
            return {"index": {"_index": where["_index"], "_id": where["_id"], "status": 400, "error": error}}
        if store["busy"] and document["t"] == 3:
            store["busy"] -= 1
            error = {"type": "es_rejected_execution_exception", "reason": "rejected execution"}
            return {"index": {"_index": where["_index"], "_id": where["_id"], "status": 429, "error": error}}
        store["documents"][where["_index"], where["_id"]] = document
        return {"index": {"_index": where["_index"], "_id": where["_id"], "status": 201}}

    def log_message(self, *arguments):
        pass


def test_documents_by_the_bulk_api(make_weir):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BulkStore)
    server.store = {"documents": {}, "busy": 2}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    weir = make_weir(config_for({"open_search": {"endpoint": f"http://127.0.0.1:{server.server_address[1]}/",
                                                 "index": "sensors-${topic(2)}", "id": "${n}"}}))
    publish(weir, "s/gw", [json.dumps({"n": i, "t": "bad" if i == 5 else i}, indent=None) for i in range(10)])
    documents = server.store["documents"]
    try:
        wait_for(lambda: len(documents) == 9 and len(errors(weir)) == 1, what="nine documents and a failure")
    finally:
        server.shutdown()
    assert documents["sensors-gw", "3"] == {"n": 3, "t": 3}
    failure = errors(weir)[0]["failures"][0]
    assert failure["failedAction"] == "OpenSearchAction" and "failed to parse field" in failure["errorMessage"]
    assert failure["failedResource"] == "sensors-gw"


@pytest.mark.skipif("WEIR_ELASTICSEARCH" not in os.environ, reason="tests/stores/README.md says how to start an Elasticsearch")
def test_documents_in_elasticsearch(make_weir):
    store = os.environ["WEIR_ELASTICSEARCH"]
    index = f"weir-{os.getpid()}"
    weir = make_weir(config_for({"elasticsearch": {"endpoint": store, "index": index, "type": "reading", "id": "${n}"}}))
    publish(weir, "s/gw", [json.dumps({"n": i, "t": "bad" if i == 700 else i / 2}) for i in range(2000)])

    def count():
        urllib.request.urlopen(f"{store}/{index}/_refresh", data=b"", timeout=10).close()
        with urllib.request.urlopen(f"{store}/{index}/_count", timeout=10) as answer:
            return json.load(answer)["count"]

    wait_for(lambda: count() == 1999 and len(errors(weir)) == 1, timeout_s=60, what="the documents and the failure")
    assert "failed to parse" in errors(weir)[0]["failures"][0]["errorMessage"]
    urllib.request.urlopen(urllib.request.Request(f"{store}/{index}", method="DELETE"), timeout=10).close()
