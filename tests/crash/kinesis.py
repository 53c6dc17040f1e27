"""What tests under load need of the Kinesis API: a plain client on its own connection, producers that remember what was acknowledged,
and somebody who splits and merges shards all the while."""
import base64
import hashlib
import http.client
import json
import random
import threading

from weir import wait_for

HASH_END = (1 << 128) - 1


class Refused(Exception):
    """The API answered with an error."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status, self.type = status, body.get("__type", "")


class Client:
    """JSON 1.1 on a connection that is made anew when it breaks. `port` is asked for each time: a restart changes it."""

    def __init__(self, port, timeout_s=20):
        self.port, self.timeout_s, self.connection = port, timeout_s, None

    def __call__(self, operation, **body):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=self.timeout_s)
            self.connection.request("POST", "/", json.dumps(body), {"Content-Type": "application/x-amz-json-1.1",
                                                                    "X-Amz-Target": f"Kinesis_20131202.{operation}"})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        result = json.loads(text or b"{}")
        if answer.status != 200:
            raise Refused(answer.status, result)
        return result

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


BROKEN = (OSError, http.client.HTTPException, KeyError, AttributeError)  # also while Weir is down and has no port


class Producer(threading.Thread):
    """Puts numbered records under one key. What was sent and not acknowledged is not sent again: it may be there or not. Records of one
    request go one behind the other, so all records of a key have one order."""

    def __init__(self, number, port, stream="many", batch=20, pause_s=0.002, padding=0):
        super().__init__(daemon=True)
        self.key, self.client, self.stream, self.batch, self.pause_s = f"key-{number}", Client(port), stream, batch, pause_s
        self.padding = ":" + "x" * padding if padding else ""
        self.next, self.acknowledged, self.refused = 0, {}, []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.put()
            except BROKEN:
                self.stopping.wait(0.02)
            except Refused as refusal:
                self.refused.append(refusal.type)
                self.stopping.wait(0.02)
            self.stopping.wait(self.pause_s)
        self.client.close()

    def put(self):
        texts = [f"{self.key}:{self.next + i}{self.padding}" for i in range(self.batch)]
        self.next += self.batch
        records = [{"PartitionKey": self.key, "Data": base64.b64encode(text.encode()).decode()} for text in texts]
        answer = self.client("PutRecords", StreamName=self.stream, Records=records)
        for text, entry in zip(texts, answer["Records"]):
            if "SequenceNumber" in entry:
                self.acknowledged[text] = (entry["SequenceNumber"], entry["ShardId"])
            else:
                self.refused.append(entry["ErrorCode"])


class Resharder(threading.Thread):
    """Splits and merges at random; keeps between 4 and 12 shards open."""

    def __init__(self, port, seed, stream="many"):
        super().__init__(daemon=True)
        self.client, self.stream, self.chance = Client(port), stream, random.Random(seed)
        self.changes = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.change()
                self.changes += 1
            except (Refused, *BROKEN):
                pass
            self.stopping.wait(self.chance.uniform(0, 0.05))
        self.client.close()

    def change(self):
        shards = open_shards(self.client, self.stream)
        split = len(shards) <= 4 or (len(shards) < 12 and self.chance.random() < 0.5)
        at = self.chance.randrange(len(shards) if split else len(shards) - 1)
        first, last, name = shards[at]
        if split:
            self.client("SplitShard", StreamName=self.stream, ShardToSplit=name,
                        NewStartingHashKey=str(self.chance.randrange(first + 1, last + 1)))
        else:
            self.client("MergeShards", StreamName=self.stream, ShardToMerge=name, AdjacentShardToMerge=shards[at + 1][2])


def all_shards(client, stream):
    page = client("ListShards", StreamName=stream)
    shards = page["Shards"]
    while "NextToken" in page:
        page = client("ListShards", NextToken=page["NextToken"])
        shards += page["Shards"]
    return shards


def hash_range(shard):
    return int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])


def open_shards(client, stream):
    """(first hash key, last, id) in the order of the keys."""
    return sorted((*hash_range(shard), shard["ShardId"]) for shard in all_shards(client, stream)
                  if "EndingSequenceNumber" not in shard["SequenceNumberRange"])


def check_shards(client, stream):
    """The open shards cover all hash keys, each once."""
    due = 0
    for first, last, name in open_shards(client, stream):
        assert first == due, f"{name} begins with {first}, not {due}"
        due = last + 1
    assert due == HASH_END + 1


def check_records(client, stream, records, producers):
    """Everything acknowledged is there, once, under its number, in its shard, in order; nothing is there that was not sent."""
    by_data = {}
    for record in records:
        assert record["data"] not in by_data, f"{record['data']} is stored twice"
        by_data[record["data"]] = record
    ranges = {shard["ShardId"]: hash_range(shard) for shard in all_shards(client, stream)}
    for producer in producers:
        missing = [text for text, where in producer.acknowledged.items()
                   if text not in by_data or (by_data[text]["sequence_number"], by_data[text]["shard"]) != where]
        assert not missing, f"{len(missing)} acknowledged records of {producer.key} are not where they were said to be: {missing[:5]}"
        own = [record for record in records if record["partition_key"] == producer.key]
        own.sort(key=lambda record: int(record["sequence_number"]))
        numbers = [int(record["data"].split(":")[1]) for record in own]
        assert numbers == sorted(numbers), f"{producer.key}: out of order"
        assert not numbers or numbers[-1] < producer.next
        position = int(hashlib.md5(producer.key.encode()).hexdigest(), 16)
        for name in {record["shard"] for record in own}:
            assert ranges[name][0] <= position <= ranges[name][1], f"{producer.key} in {name}"


def start_all(*threads):
    for thread in threads:
        thread.start()


def stop_all(*threads):
    for thread in threads:
        thread.stopping.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def wait_acknowledged(producers, more, timeout_s=60):
    """Until each producer has this many more acknowledged records."""
    due = [(producer, len(producer.acknowledged) + more) for producer in producers]
    wait_for(lambda: all(len(producer.acknowledged) >= count for producer, count in due), timeout_s=timeout_s,
             what=f"{more} more records of each producer")
