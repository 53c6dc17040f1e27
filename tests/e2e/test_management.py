"""The broker over HTTP: /v1 with signed and unsigned requests, `weir client` and `weir retained`, AWS IoT's data plane with
boto3 and the AWS CLI."""
import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import boto3
import paho.mqtt.client as mqtt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from test_kinesis_api import KEY, SECRET, api_config
from test_kinesis_cli import AWS
from test_sessions import Client
from weir import PROGRAM, sensors_rule, wait_for


def config(auth="open"):
    rule = sensors_rule("topic/sensors")
    rule["actions"] = rule["actions"][:1]
    return api_config(auth, workers=2, streams={"sensors": {"shard_count": 1}}, rules={"sensors": rule})


@pytest.fixture
def weir(make_weir):
    return make_weir(config())


def ask(weir, path, method="GET", service=None, key=KEY):
    """(status, body) of a request, signed for `service` if one is given."""
    url = f"http://{weir.addresses['api']}{path}"
    request = AWSRequest(method, url)
    if service:
        SigV4Auth(Credentials(key, SECRET), service, "eu-central-1").add_auth(request)
    sent = urllib.request.Request(url, method=method, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            body = answer.read()
            return answer.status, json.loads(body) if body else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def every(weir, path, member):
    """All items of a list, page by page."""
    found, token = [], ""
    while True:
        status, answer = ask(weir, path + ("&" if "?" in path else "?") + "limit=3" + token)
        assert status == 200 and len(answer[member]) <= 3
        found += answer[member]
        if "next" not in answer:
            return found
        token = "&next=" + answer["next"]


def iot_data(weir, **settings):
    settings.setdefault("retries", {"max_attempts": 0})
    return boto3.client("iot-data", endpoint_url=f"http://{weir.addresses['api']}", region_name="eu-central-1",
                        aws_access_key_id=KEY, aws_secret_access_key=SECRET, config=Config(**settings))


def retain(weir, topics):
    client = Client(weir, mqtt.MQTTv5, "retainer").connect()
    for topic, payload in topics.items():
        client.paho.publish(topic, payload, 1, retain=True).wait_for_publish(20)
    client.close()


# ---- /v1


def test_clients_of_both_workers_in_pages(weir):
    clients = [Client(weir, mqtt.MQTTv5, f"device/{i:02}").connect() for i in range(10)]
    away = Client(weir, mqtt.MQTTv311, "away", 60).connect().subscribe("a/#", 1)
    away.close()
    page = Client(weir, mqtt.MQTTv5, "page", transport="websockets").connect()
    wait_for(lambda: not ask(weir, "/v1/clients/away")[1]["connected"], what="the client to be away")
    listed = every(weir, "/v1/clients", "clients")
    assert [c["client_id"] for c in listed] == ["away"] + [f"device/{i:02}" for i in range(10)] + ["page"]
    assert [c["client_id"] for c in every(weir, "/v1/clients?prefix=device%2F0", "clients")] == \
        [f"device/{i:02}" for i in range(10)]
    assert "away" not in [c["client_id"] for c in every(weir, "/v1/clients?connected=true", "clients")]
    assert listed[0]["connected"] is False and 0 < listed[0]["ends_in_s"] and listed[0]["subscriptions"] == 1
    assert (listed[-1]["transport"], listed[-1]["protocol"]) == ("websocket", "MQTT 5.0")
    for client in clients + [page]:
        client.close()


def test_one_client_with_all_that_there_is(weir):
    device = Client(weir, mqtt.MQTTv311, "device 1", 60, will=("gone", "x", 1, True)).connect()
    device.subscribe("$share/g/s/#", 2).subscribe("own", 1)
    device.publish("own", "hello", 1)
    wait_for(lambda: device.messages, what="its own message")
    status, shown = ask(weir, "/v1/clients/device%201")
    assert status == 200
    assert shown["protocol"] == "MQTT 3.1.1" and shown["address"].startswith("127.0.0.1:")
    assert (shown["messages_received"], shown["messages_sent"], shown["keep_alive_s"]) == (1, 1, 60)
    assert shown["session_expiry_s"] > 0 and shown["clean_start"] is False
    assert shown["will"] == {"topic": "gone", "qos": 1, "retain": True, "delay_s": 0, "payload_bytes": 1}
    assert [(f["filter"], f["qos"]) for f in shown["filters"]] == [("$share/g/s/#", 2), ("own", 1)]
    device.close()


def test_subscriptions_of_all_and_of_one(weir):
    clients = [Client(weir, mqtt.MQTTv5, f"c{i}").connect() for i in range(4)]
    for client in clients:
        for name in ("b", "a/+", "c/#"):
            client.subscribe(name, 1)
    expected = [(f"c{i}", name) for i in range(4) for name in ("a/+", "b", "c/#")]
    assert [(s["client_id"], s["filter"]) for s in every(weir, "/v1/subscriptions", "subscriptions")] == expected
    assert [s["filter"] for s in every(weir, "/v1/subscriptions?client=c2", "subscriptions")] == ["a/+", "b", "c/#"]
    for client in clients:
        client.close()


def test_a_client_is_kicked_and_may_be_forgotten(weir):
    device = Client(weir, mqtt.MQTTv5, "device", 60, will=("gone", "bye")).connect().subscribe("a", 1)
    watcher = Client(weir, mqtt.MQTTv5, "watcher").connect().subscribe("gone", 1).subscribe("$aws/events/presence/#", 1)
    reasons = []
    device.paho.on_disconnect = lambda c, u, code, *rest: (reasons.append(code), device.paho.disconnect())
    assert ask(weir, "/v1/clients/device", "DELETE") == (
        200, {"client_id": "device", "was_connected": True, "session_ended": False})
    wait_for(lambda: reasons, what="the end of the connection")
    wait_for(lambda: "gone" in [m.topic for m in watcher.messages], what="the will")
    told = wait_for(lambda: [json.loads(m.payload) for m in watcher.messages if "disconnected" in m.topic], what="the event")
    assert told[0]["disconnectReason"] == "API_INITIATED_DISCONNECT"
    assert ask(weir, "/v1/clients/device")[1]["connected"] is False
    assert ask(weir, "/v1/clients/device", "DELETE")[0] == 404
    assert ask(weir, "/v1/clients/device?forget_session=true", "DELETE") == (
        200, {"client_id": "device", "was_connected": False, "session_ended": True})
    assert ask(weir, "/v1/clients/device")[0] == 404
    device.close()
    watcher.close()


def test_retained_messages_are_listed_shown_and_removed(weir):
    retain(weir, {"a/b": "text", "a/ü c": b"\xff", "z": "1"})
    listed = every(weir, "/v1/retained", "retained")
    assert [(m["topic"], m["payload_bytes"], m["qos"]) for m in listed] == [("a/b", 4, 1), ("a/ü c", 1, 1), ("z", 1, 1)]
    assert [m["topic"] for m in every(weir, "/v1/retained?filter=a%2F%23", "retained")] == ["a/b", "a/ü c"]
    assert ask(weir, "/v1/retained/a/b")[1]["payload"] == "text"
    path = "/v1/retained/" + urllib.parse.quote("a/ü c", safe="")
    assert ask(weir, path)[1]["payload_base64"] == "/w=="
    assert ask(weir, path, "DELETE") == (200, {"topic": "a/ü c", "deleted": True})
    assert ask(weir, path)[0] == 404 and ask(weir, path, "DELETE")[0] == 404
    assert [m["topic"] for m in every(weir, "/v1/retained", "retained")] == ["a/b", "z"]


@pytest.mark.parametrize("path, method, status, message", [
    ("/v1/clients?limit=0", "GET", 400, 'limit must be a number from 1 to 1000, not "0".'),
    ("/v1/clients?connected=maybe", "GET", 400, 'connected must be true or false, not "maybe".'),
    ("/v1/clients?next=xyz", "GET", 400, "next must be what the answer before has given."),
    ("/v1/retained?filter=a%23", "GET", 400, '"a#" is no topic filter.'),
    ("/v1/retained/a%2B", "GET", 400, '"a+" is no topic name.'),
    ("/v1/clients", "PUT", 405, "/v1/clients cannot be asked with PUT."),
    ("/v1/else", "GET", 404, "There is no path /v1/else here."),
    ("/v1/clients/x", "GET", 404, 'There is no client "x", neither connected nor with a session.'),
])
def test_what_is_wrong_is_said_in_words(weir, path, method, status, message):
    answered, body = ask(weir, path, method)
    assert (answered, body["message"]) == (status, message)


def test_requests_are_signed_where_it_is_wanted(make_weir):
    weir = make_weir(config("sigv4"))
    assert ask(weir, "/v1/clients")[0] == 403
    assert ask(weir, "/v1/clients", service="weir") == (200, {"clients": []})
    assert ask(weir, "/v1/clients?prefix=a%20b&limit=5", service="weir")[0] == 200
    assert ask(weir, "/v1/clients", service="iotdata")[0] == 403
    assert ask(weir, "/v1/clients", service="weir", key="AKIANOBODY")[0] == 403
    for service in ("iotdata", "iotdevicegateway"):
        assert ask(weir, "/retainedMessage", service=service) == (200, {"retainedTopics": []})
    assert run(weir, "client", "ls", "--json", AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET) == ""
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run(weir, "client", "ls")
    assert "Missing Authentication Token" in refused.value.stderr


# ---- weir client, weir retained


def run(weir, *arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run([PROGRAM, *arguments, "--api", f"http://{weir.addresses['api']}"], check=True, timeout=60,
                          env={**clean, **environment}, capture_output=True, text=True).stdout


def test_clients_on_the_command_line(weir):
    device = Client(weir, mqtt.MQTTv5, "device/1", 60).connect().subscribe("a/#", 1)
    lines = run(weir, "client", "ls").splitlines()
    assert lines[0].split()[:3] == ["CLIENT", "CONNECTED", "PROTOCOL"]
    assert lines[1].split()[:5] == ["device/1", "true", "MQTT", "5.0", "tcp"]
    assert run(weir, "client", "ls", "other").splitlines()[1:] == []
    assert json.loads(run(weir, "client", "ls", "dev", "--json"))["client_id"] == "device/1"
    shown = run(weir, "client", "show", "device/1")
    assert "client id: device/1\n" in shown and '"filter":"a/#"' in shown
    device.paho.on_disconnect = lambda *rest: device.paho.disconnect()
    assert "was connected: true" in run(weir, "client", "kick", "device/1", "--forget-session")
    with pytest.raises(subprocess.CalledProcessError) as missing:
        run(weir, "client", "show", "device/1")
    assert missing.value.returncode == 1
    assert missing.value.stderr.startswith('weir client: There is no client "device/1"')
    device.close()


def test_retained_messages_on_the_command_line(weir):
    retain(weir, {"a/b": "text", "c": b"\xff\x00"})
    lines = run(weir, "retained", "ls").splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["a/b", "1", "4"], ["c", "1", "2"]]
    assert [line.split()[0] for line in run(weir, "retained", "ls", "+/b").splitlines()[1:]] == ["a/b"]
    assert "payload: text\n" in run(weir, "retained", "show", "a/b")
    assert run(weir, "retained", "show", "a/b", "--raw") == "text"
    assert run(weir, "retained", "rm", "a/b") == ""
    assert [json.loads(line)["topic"] for line in run(weir, "retained", "ls", "--json").splitlines()] == ["c"]


def test_where_the_api_is_stands_in_the_configuration(make_weir):
    weir = make_weir(config("sigv4"))
    described = weir.path("client.yaml")
    with open(described, "w", encoding="utf-8") as file:
        json.dump(config("sigv4") | {"api": {"bind": weir.addresses["api"], "auth": "sigv4"}}, file)
    result = subprocess.run([PROGRAM, "client", "ls", "-c", described], check=True, capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith("CLIENT")


# ---- AWS IoT Data Plane


def test_publish_with_all_that_it_can_say(weir):
    watcher = Client(weir, mqtt.MQTTv5, "watcher").connect().subscribe("#", 1)
    data = iot_data(weir)
    answer = data.publish(topic="a/b c/ü", qos=1, payload=b"\x00\xff", contentType="application/x", responseTopic="answers/1",
                          messageExpiry=1000, payloadFormatIndicator="UNSPECIFIED_BYTES",
                          userProperties=[{"k": "v"}, {"k": "w"}], correlationData=base64.b64encode(b"id\x01").decode())
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    message = wait_for(lambda: watcher.messages, what="the message")[0]
    assert (message.topic, message.payload, message.qos, message.retain) == ("a/b c/ü", b"\x00\xff", 1, False)
    properties = message.properties
    assert (properties.ContentType, properties.ResponseTopic, properties.CorrelationData) == ("application/x", "answers/1", b"id\x01")
    assert properties.UserProperty == [("k", "v"), ("k", "w")] and 990 <= properties.MessageExpiryInterval <= 1000
    assert properties.PayloadFormatIndicator == 0
    data.publish(topic="plain", payload="text", payloadFormatIndicator="UTF8_DATA", userProperties='[{"a":"b"}]')
    second = wait_for(lambda: watcher.messages[1:], what="the second message")[0]
    assert (second.qos, second.payload, second.properties.PayloadFormatIndicator) == (0, b"text", 1)
    assert second.properties.UserProperty == [("a", "b")]
    watcher.close()


def test_publish_answers_when_the_record_is_on_disk(weir):
    data = iot_data(weir)
    for i in range(20):
        data.publish(topic="topic/sensors", qos=1, payload=json.dumps({"n": i}))
    weir.kill()
    assert [json.loads(r["data"])["n"] for r in weir.stream_records()] == list(range(20))


def test_publish_answers_as_aws_does(weir):
    request = urllib.request.Request(f"http://{weir.addresses['api']}/topics/a/b?qos=1", b"x", method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        body = json.loads(answer.read())
        assert answer.headers["Content-Type"] == "application/json"
        assert body == {"message": "OK", "traceId": answer.headers["x-amzn-RequestId"]}


@pytest.mark.parametrize("arguments", [
    {"topic": "a/#"}, {"topic": "a", "qos": 2}, {"topic": "a", "responseTopic": "x/+"}, {"topic": "a", "messageExpiry": -1},
    {"topic": "a", "payloadFormatIndicator": "TEXT"}, {"topic": "a", "correlationData": "%"},
    {"topic": "a", "userProperties": {"a": "b"}}, {"topic": "a", "userProperties": [{"a": 1}]}], ids=str)
def test_publish_refuses(weir, arguments):
    with pytest.raises(ClientError) as refused:
        iot_data(weir).publish(**arguments)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_retained_messages_with_boto3(weir):
    data = iot_data(weir)
    for i in range(5):
        data.publish(topic=f"r/{i}", qos=i % 2, retain=True, payload=f"p{i}", userProperties=[{"n": str(i)}])
    one = data.get_retained_message(topic="r/3")
    assert (one["topic"], one["payload"], one["qos"]) == ("r/3", b"p3", 1)
    assert one["lastModifiedTime"] > 1.7e12
    raw = ask(weir, "/retainedMessage/r%2F3")[1]  # Debian's boto3 does not know the member yet
    assert json.loads(base64.b64decode(raw["userProperties"])) == [{"n": "3"}]
    pages = list(data.get_paginator("list_retained_messages").paginate(PaginationConfig={"PageSize": 2}))
    topics = [summary for page in pages for summary in page["retainedTopics"]]
    assert len(pages) == 3 and [t["topic"] for t in topics] == [f"r/{i}" for i in range(5)]
    assert {t["payloadSize"] for t in topics} == {2} and [t["qos"] for t in topics] == [0, 1, 0, 1, 0]
    with pytest.raises(ClientError) as missing:
        data.get_retained_message(topic="r")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"
    data.publish(topic="r/3", retain=True, payload=b"")
    with pytest.raises(ClientError):
        data.get_retained_message(topic="r/3")


def test_delete_connection(weir):
    device = Client(weir, mqtt.MQTTv5, "device", 60).connect()
    device.paho.on_disconnect = lambda *rest: device.paho.disconnect()
    assert ask(weir, "/connections/device?cleanSession=true", "DELETE") == (200, None)
    assert ask(weir, "/connections/device", "DELETE")[0] == 404
    assert ask(weir, "/v1/clients/device")[0] == 404
    device.close()


def test_the_aws_cli(make_weir, tmp_path):
    assert os.path.exists(AWS), "the package awscli is missing: run script/bootstrap test"
    weir = make_weir(config("sigv4"))
    environment = {"PATH": os.path.dirname(shutil.which("env")), "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": KEY,
                   "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
                   "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    def aws(operation, *arguments):
        command = [AWS, "--endpoint-url", f"http://{weir.addresses['api']}", "iot-data", operation, *arguments]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
        return json.loads(result.stdout) if result.stdout.strip() else None

    aws("publish", "--topic", "a/b", "--qos", "1", "--retain", "--cli-binary-format", "raw-in-base64-out",
        "--payload", '{"temperature":20}', "--user-properties", '[{"unit":"C"}]')
    shown = aws("get-retained-message", "--topic", "a/b")
    assert json.loads(base64.b64decode(shown["payload"])) == {"temperature": 20} and shown["qos"] == 1
    assert [t["topic"] for t in aws("list-retained-messages")["retainedTopics"]] == ["a/b"]
