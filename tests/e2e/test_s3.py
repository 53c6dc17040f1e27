"""Delivery to an S3 server written by others (s3rver from npm), read back with boto3; the server stopped and started again."""
import base64
import gzip
import hashlib
import http.server
import os
import subprocess
import tempfile
import threading
from collections import namedtuple

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from weir import ROOT, free_port, pipeline, wait_for


S3Address = namedtuple("S3Address", "port")


class S3Server:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="s3-")
        self.port = free_port()
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["node", os.path.join(ROOT, "tests", "node_modules", "s3rver", "bin", "s3rver.js"), "--directory", self.directory,
             "--address", "127.0.0.1", "--port", str(self.port), "--silent", "--configure-bucket", "archive"])
        wait_for(lambda: self.client().list_buckets(), what="the S3 server")
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def client(self):
        return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id="S3RVER",
                            aws_secret_access_key="S3RVER", region_name="us-east-1",
                            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))

    def objects(self):
        client = self.client()
        listing = client.list_objects_v2(Bucket="archive").get("Contents", [])
        return {entry["Key"]: client.get_object(Bucket="archive", Key=entry["Key"]) for entry in listing}

    def content(self):
        """All readings. Keys of objects of one second end in a UUID, so objects are ordered by their first reading."""
        parts = []
        for key, answer in self.objects().items():
            body = answer["Body"].read()
            parts.append(gzip.decompress(body) if key.endswith(".gz") else body)
        return b"".join(sorted(parts, key=lambda part: int(part.split(b"\n", 1)[0].removeprefix(b"reading "))))


@pytest.fixture
def s3():
    server = S3Server().start()
    yield server
    server.stop()


def config_for(s3, **changes):
    return pipeline(
        functions=None, event_source_mappings=None,
        buckets={"archive": {"s3": {"endpoint": f"http://127.0.0.1:{s3.port}", "region": "us-east-1", "bucket": "archive",
                                    "access_key_id": "S3RVER", "secret_access_key": "S3RVER", "path_style": True}}},
        delivery_streams={"sensors": {"bucket": "archive", "prefix": "raw/", "buffer_size": "64KiB", "buffer_interval": "1s",
                                      "compression": "gzip", **changes}})


def publish(weir, first, end):
    subprocess.run(["mosquitto_pub", "-p", str(weir.port()), "-t", "topic/sensors", "-l", "-q", "1"],
                   input="".join(f"reading {i}\n" for i in range(first, end)), text=True, check=True, timeout=30)


def expected(end):
    return "".join(f"reading {i}\n" for i in range(end)).encode()


def test_objects_arrive_signed_and_readable(make_weir, s3):
    weir = make_weir(config_for(s3))
    publish(weir, 0, 1000)
    wait_for(lambda: s3.content() == expected(1000), what="all readings")
    key, answer = next(iter(s3.objects().items()))
    assert key.startswith("raw/20") and key.endswith(".gz")
    assert answer["ContentEncoding"] == "gzip"


def test_uncompressed_objects(make_weir, s3):
    weir = make_weir(config_for(s3, compression="none"))
    publish(weir, 0, 100)
    wait_for(lambda: s3.content() == expected(100), what="all readings")
    assert not any(key.endswith(".gz") for key in s3.objects())


def test_a_store_that_goes_away_and_comes_back(make_weir, s3):
    weir = make_weir(config_for(s3))
    publish(weir, 0, 100)
    wait_for(lambda: s3.content() == expected(100), what="the first readings")
    s3.stop()
    publish(weir, 100, 10000)
    wait_for(lambda: weir.metric("weir_delivery_lag_records") >= 9900, what="visible lag")
    s3.start()
    wait_for(lambda: s3.content() == expected(10000), timeout_s=90, what="all readings, once")
    wait_for(lambda: weir.metric("weir_delivery_lag_records") == 0, what="no lag")


def test_wrong_credentials_hold_the_data_and_say_so(make_weir, s3):
    config = config_for(s3)
    config["buckets"]["archive"]["s3"]["access_key_id"] = "NOBODY"
    weir = make_weir(config)
    publish(weir, 0, 10)
    wait_for(lambda: "InvalidAccessKeyId" in weir.log(), what="the reason in the log")
    wait_for(lambda: weir.metric("weir_delivery_lag_records") == 10, what="visible lag")
    assert weir.stop() == 0
    weir.write_config(config_for(s3))
    weir.start()
    wait_for(lambda: s3.content() == expected(10), what="all readings with the right key")


class VerifyingStore(http.server.BaseHTTPRequestHandler):
    """Checks the signature of each PUT with botocore's own signer (s3rver does not check version 4)."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        given = self.headers["Authorization"]
        signed = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        request = AWSRequest("PUT", f"http://{self.headers['Host']}{self.path}", data=body,
                             headers={name: self.headers[name] for name in signed if name != "host"})
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "s3", "eu-central-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        right = signer.signature(text, request) == given.split("Signature=")[1]
        right = right and hashlib.sha256(body).hexdigest() == self.headers["x-amz-content-sha256"]
        right = right and base64.b64encode(hashlib.md5(body).digest()).decode() == self.headers["Content-MD5"]
        if right:
            self.server.objects[self.path] = body
        self.send_response(200 if right else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_every_request_is_signed_as_botocore_signs(make_weir):
    store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), VerifyingStore)
    store.objects = {}
    threading.Thread(target=store.serve_forever, daemon=True).start()
    config = config_for(S3Address(store.server_address[1]), prefix="a b/~x=1+é/", compression="none")
    config["buckets"]["archive"]["s3"].update(access_key_id="AKIDEXAMPLE", region="eu-central-1",
                                              secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    weir = make_weir(config)
    publish(weir, 0, 10)
    try:
        wait_for(lambda: b"".join(store.objects.values()) == expected(10), what="the object")
    finally:
        store.shutdown()
