"""The whole way of a reading, with the clients that people use: mosquitto's, redis-py, a WebSocket, files in a bucket."""
import asyncio
import hashlib
import json
import subprocess
import time
import urllib.request

import websockets

from weir import wait_for

READING = '{"temperature": 21.5}'


def publish(weir, payload, topic="topic/sensors", qos=1):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", topic, "-m", payload, "-q", str(qos)],
                   check=True, timeout=20)


def test_a_reading_reaches_redis_and_the_bucket(weir):
    wait_for(lambda: weir.redis().ping(), what="redis")
    publish(weir, READING)
    wait_for(lambda: weir.redis().get("sensorCount") == b"1", what="the count")
    assert weir.redis().get("sensorLatest") == READING.encode()
    wait_for(lambda: weir.bucket_bytes() == READING.encode() + b"\n", what="the object")
    name, _ = weir.bucket_objects()[0]
    assert name.startswith(time.strftime("%Y/%m/%d/", time.gmtime())) and name.endswith(".gz"), name
    assert "sensors-1-" in name


def test_the_live_feed_tells_each_change(weir):
    async def follow():
        async with websockets.connect(f"ws://127.0.0.1:{weir.port('web')}/ws") as feed:
            first = json.loads(await asyncio.wait_for(feed.recv(), 10))
            assert first["count"] == "0" and first["latest"] is None
            publish(weir, READING)
            while True:
                state = json.loads(await asyncio.wait_for(feed.recv(), 10))
                if state["count"] == "1":
                    return state

    wait_for(lambda: weir.redis().ping(), what="redis")
    state = asyncio.run(follow())
    assert state["latest"] == READING
    assert state["updated"].endswith("Z")


def test_payloads_of_every_kind_arrive_unchanged(weir):
    payloads = ['quotes " and \\ and \n newline', "</script><b>", "\u2028 \u00e9 \U0001f600", "", "x" * 100000]
    wait_for(lambda: weir.redis().ping(), what="redis")

    async def follow():
        async with websockets.connect(f"ws://127.0.0.1:{weir.port('web')}/ws", max_size=None) as feed:
            for payload in payloads:
                await asyncio.to_thread(publish, weir, payload)
                while json.loads(await asyncio.wait_for(feed.recv(), 10))["latest"] != payload:
                    pass

    asyncio.run(follow())
    assert [record["data"] for record in weir.stream_records()] == payloads


def test_many_rules_and_actions_on_one_message(make_weir):
    import weir as module
    config = module.pipeline()
    config["streams"]["copies"] = {"shard_count": 4}
    config["rules"]["second"] = {
        "sql": "SELECT * FROM 'topic/+/room/+'", "sql_version": "2016-03-23",
        "actions": [
            {"kinesis": {"stream_name": "copies", "partition_key": "${topic(4)}"}},
            {"republish": {"topic": "again/${topic(4)}/${clientid()}", "qos": 1}},
        ],
    }
    weir = make_weir(config)
    listener = subprocess.Popen(["mosquitto_sub", "-p", str(weir.port()), "-t", "again/#", "-q", "1", "-C", "2", "-v"],
                                stdout=subprocess.PIPE, text=True)
    wait_for(lambda: weir.metric("weir_mqtt_subscriptions") >= 1, what="the subscription")
    for place in ("north", "south"):
        subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-i", "gw1", "-t", f"topic/sensors/room/{place}",
                        "-m", place, "-q", "1"], check=True, timeout=20)
    out, _ = listener.communicate(timeout=20)
    assert sorted(out.split("\n")[:2]) == ["again/north/gw1 north", "again/south/gw1 south"]
    assert sorted(record["data"] for record in weir.stream_records("copies")) == ["north", "south"]
    assert {record["partition_key"] for record in weir.stream_records("copies")} == {"north", "south"}
    assert len(weir.stream_records("sensors")) == 2


def test_where_and_select_shape_what_is_kept(make_weir):
    import weir as module
    config = module.pipeline()
    config["rules"] = {"hot": module.sensors_rule("topic/sensors/+", "SELECT temperature AS t, topic(3) AS room",
                                                  "WHERE temperature > 50")}
    weir = make_weir(config)
    for value in (49, 50, 51, 99.5):
        publish(weir, json.dumps({"temperature": value}), topic="topic/sensors/r1")
    wait_for(lambda: len(weir.stream_records()) == 2, what="two records")
    assert [json.loads(record["data"]) for record in weir.stream_records()] == [
        {"t": 51, "room": "r1"}, {"t": 99.5, "room": "r1"}]


def test_a_restart_keeps_everything(weir):
    wait_for(lambda: weir.redis().ping(), what="redis")
    for i in range(10):
        publish(weir, str(i))
    wait_for(lambda: weir.redis().get("sensorCount") == b"10", what="the count")
    assert weir.stop() == 0
    weir.start()
    publish(weir, "10")
    wait_for(lambda: weir.redis().get("sensorCount") == b"11", what="the count after the restart")
    assert [record["data"] for record in weir.stream_records()] == [str(i) for i in range(11)]
    wait_for(lambda: weir.bucket_bytes() == "".join(f"{i}\n" for i in range(11)).encode(), what="all in the bucket")


def test_health_and_metrics(weir):
    wait_for(lambda: urllib.request.urlopen(weir.url("/readyz")).status == 200, what="readiness")
    assert urllib.request.urlopen(weir.url("/livez")).status == 200
    publish(weir, READING)
    wait_for(lambda: weir.metric("weir_stream_records_total") >= 1, what="the metric")
    assert weir.metric("process_resident_memory_bytes") > 0
    names = {key.split("{")[0] for key in weir.metrics()}
    for part in ("weir_mqtt_", "weir_rule_", "weir_stream_", "weir_function_", "weir_mapping_", "weir_delivery_",
                 "weir_state_", "weir_web_"):
        assert any(name.startswith(part) for name in names), part


def packed(*records):
    """One record as a KPL producer packs it: all under one key."""
    def field(tag, content):
        return bytes([tag, 0x80 | len(content) & 0x7F, len(content) >> 7]) + content

    message = field(0x0A, b"key") + b"".join(field(0x1A, b"\x08\x00" + field(0x1A, record)) for record in records)
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def test_a_compressing_stream_feeds_functions_and_packed_records_are_taken_apart(make_weir, tmp_path):
    import weir as module
    config = module.pipeline()
    config["streams"]["sensors"]["compression"] = "zstd"
    config["delivery_streams"]["sensors"]["deaggregate"] = True
    config["rules"]["packed"] = {"sql": "SELECT * FROM 'packed'", "sql_version": "2016-03-23",
                                 "actions": [{"firehose": {"delivery_stream_name": "sensors"}}]}
    weir = make_weir(config)
    wait_for(lambda: weir.redis().ping(), what="redis")
    lines = [json.dumps({"temperature": 20 + number % 5, "place": "cellar"}) for number in range(500)]
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-q", "1", "-l"],
                   input="\n".join(lines) + "\n", text=True, check=True, timeout=20)
    wait_for(lambda: weir.redis().get("sensorCount") == b"500", what="the count")
    assert [record["data"] for record in weir.stream_records()] == lines
    assert weir.metric("weir_stream_compression_saved_bytes_total") > 0

    content = tmp_path / "packed"
    content.write_bytes(packed(b"first\n", b"second\n", b"third\n"))
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "packed", "-f", str(content), "-q", "1"], check=True, timeout=20)
    written = "\n".join(lines) + "\nfirst\nsecond\nthird\n"
    wait_for(lambda: weir.bucket_bytes() == written.encode(), what="the objects")
