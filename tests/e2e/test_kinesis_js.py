"""The AWS SDK for JavaScript v3, which speaks HTTP/2 with prior knowledge to Kinesis."""
import json
import os
import subprocess

from test_kinesis_api import KEY, SECRET, api_config, shard_id

HERE = os.path.dirname(os.path.abspath(__file__))


def test_the_article_s_path_with_the_default_client(make_weir):
    weir = make_weir(api_config(auth="sigv4"))
    environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    run = subprocess.run(["node", os.path.join(HERE, "kinesis_client.mjs"), f"http://{weir.addresses['api']}"],
                         env=environment, capture_output=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr.decode()
    result = json.loads(run.stdout)
    assert result["protocol"] == "NodeHttp2Handler"
    words = ["one", "two", "three"]
    assert (result["failed"], result["oldest"], result["time"]) == (0, words, words)
    assert (result["at"], result["after"], result["latest"]) == (words[1:], words[2:], [])
    assert result["largest"]
    assert (result["many"], result["all"], result["pushed"]) == (200, 204, 204)
    assert result["children"] == [shard_id(1), shard_id(2)]
    assert result["target"] == 2
    assert result["error"] == ["ResourceNotFoundException", "Stream none under account 000000000000 not found."]
    assert result["left"] == []
