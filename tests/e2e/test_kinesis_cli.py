"""The same path with the AWS CLI alone."""
import base64
import json
import os
import shutil
import subprocess

import pytest

from test_kinesis_api import KEY, SECRET, api_config, shard_id
from weir import wait_for

AWS = "/usr/bin/aws"  # Debian's awscli, which script/bootstrap installs


@pytest.fixture
def aws(make_weir, tmp_path):
    """aws("list-streams") -> the answer; raises CalledProcessError."""
    assert os.path.exists(AWS), "the package awscli is missing: run script/bootstrap test"
    weir = make_weir(api_config(auth="sigv4"))
    environment = {"PATH": os.path.dirname(shutil.which("env")), "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": KEY,
                   "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
                   "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    def run(operation, *arguments, **changes):
        command = [AWS, "--endpoint-url", f"http://{weir.addresses['api']}", "kinesis", operation, *arguments]
        result = subprocess.run(command, env=environment | changes, check=True, capture_output=True, timeout=60)
        return json.loads(result.stdout) if result.stdout.strip() else None

    return run


def read(aws, shard, kind, *position):
    iterator = aws("get-shard-iterator", "--stream-name", "s", "--shard-id", shard, "--shard-iterator-type", kind,
                   *position)["ShardIterator"]
    return [base64.b64decode(record["Data"]).decode() for record in aws("get-records", "--shard-iterator", iterator)["Records"]]


def test_the_article_s_path_on_the_command_line(aws):
    aws("create-stream", "--stream-name", "s", "--shard-count", "1")
    aws("wait", "stream-exists", "--stream-name", "s")
    records = [{"Data": base64.b64encode(text.encode()).decode(), "PartitionKey": text} for text in ("one", "two", "three")]
    answer = aws("put-records", "--stream-name", "s", "--records", json.dumps(records))
    assert answer["FailedRecordCount"] == 0
    second = answer["Records"][1]["SequenceNumber"]
    first = shard_id(0)
    assert read(aws, first, "TRIM_HORIZON") == ["one", "two", "three"]
    assert read(aws, first, "AT_SEQUENCE_NUMBER", "--starting-sequence-number", second) == ["two", "three"]
    assert read(aws, first, "AFTER_SEQUENCE_NUMBER", "--starting-sequence-number", second) == ["three"]
    assert read(aws, first, "AT_TIMESTAMP", "--timestamp", "2020-01-01T00:00:00Z") == ["one", "two", "three"]
    assert read(aws, first, "LATEST") == []
    aws("split-shard", "--stream-name", "s", "--shard-to-split", first, "--new-starting-hash-key", str(1 << 127))
    aws("merge-shards", "--stream-name", "s", "--shard-to-merge", shard_id(1), "--adjacent-shard-to-merge", shard_id(2))
    assert len(aws("list-shards", "--stream-name", "s")["Shards"]) == 4
    answer = aws("update-shard-count", "--stream-name", "s", "--target-shard-count", "2", "--scaling-type", "UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (1, 2)
    wait_for(lambda: aws("describe-stream-summary", "--stream-name", "s")["StreamDescriptionSummary"]["OpenShardCount"] == 2)
    aws("delete-stream", "--stream-name", "s")
    aws("wait", "stream-not-exists", "--stream-name", "s")
    assert aws("list-streams")["StreamNames"] == []


def test_a_wrong_secret_is_refused(aws):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        aws("list-streams", AWS_SECRET_ACCESS_KEY="wrong")
    assert b"InvalidSignatureException" in caught.value.stderr
