// The article's path through the AWS SDK for JavaScript v3 with its default HTTP/2 client.
// kinesis_client.mjs ENDPOINT; prints one JSON object. Key and secret come from the environment.
import * as sdk from "@aws-sdk/client-kinesis";

const kinesis = new sdk.KinesisClient({ endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 });
const call = (name, input) => kinesis.send(new sdk[name + "Command"](input));
const shard = (number) => "shardId-" + String(number).padStart(12, "0");
const text = (records) => records.map((record) => Buffer.from(record.Data).toString());

async function read(number, type, more = {}) {
  let { ShardIterator } = await call("GetShardIterator",
    { StreamName: "js", ShardId: shard(number), ShardIteratorType: type, ...more });
  const records = [];
  for (let behind = 1; behind;) {
    const answer = await call("GetRecords", { ShardIterator });
    records.push(...answer.Records);
    ({ NextShardIterator: ShardIterator, MillisBehindLatest: behind } = answer);
  }
  return text(records);
}

const result = { protocol: kinesis.config.requestHandler.constructor.name };
await call("CreateStream", { StreamName: "js", ShardCount: 1 });
const Records = ["one", "two", "three"].map((word) => ({ Data: Buffer.from(word), PartitionKey: word }));
const put = await call("PutRecords", { StreamName: "js", Records });
const second = { StartingSequenceNumber: put.Records[1].SequenceNumber };
result.failed = put.FailedRecordCount;
result.oldest = await read(0, "TRIM_HORIZON");
result.at = await read(0, "AT_SEQUENCE_NUMBER", second);
result.after = await read(0, "AFTER_SEQUENCE_NUMBER", second);
result.time = await read(0, "AT_TIMESTAMP", { Timestamp: new Date(0) });
result.latest = await read(0, "LATEST");

// The largest record that a stream can be told to take.
const { StreamDescriptionSummary: { StreamARN } } = await call("DescribeStreamSummary", { StreamName: "js" });
await call("UpdateMaxRecordSize", { StreamARN, MaxRecordSizeInKiB: 10240 });
const largest = Buffer.alloc(10 * 1024 * 1024 - 1, "large ");
const { SequenceNumber } = await call("PutRecord", { StreamName: "js", Data: largest, PartitionKey: "l" });
const [found] = await read(0, "AT_SEQUENCE_NUMBER", { StartingSequenceNumber: SequenceNumber });
result.largest = largest.toString() === found;

// Many calls at once share one connection.
const many = await Promise.all(Array.from({ length: 200 }, (_, i) =>
  call("PutRecord", { StreamName: "js", Data: Buffer.alloc(20000, i), PartitionKey: String(i) })));
result.many = new Set(many.map((answer) => answer.SequenceNumber)).size;
result.all = (await read(0, "TRIM_HORIZON")).length;

const { Consumer: { ConsumerARN } } = await call("RegisterStreamConsumer", { StreamARN, ConsumerName: "c" });
const { EventStream } = await call("SubscribeToShard",
  { ConsumerARN, ShardId: shard(0), StartingPosition: { Type: "TRIM_HORIZON" } });
let pushed = 0;
for await (const { SubscribeToShardEvent: event } of EventStream) {
  pushed += event.Records.length;
  if (pushed === 204 && event.Records.length)
    await call("SplitShard", { StreamName: "js", ShardToSplit: shard(0), NewStartingHashKey: String(1n << 127n) });
  result.children = event.ChildShards?.map((child) => child.ShardId);
}
result.pushed = pushed;
await call("MergeShards", { StreamName: "js", ShardToMerge: shard(1), AdjacentShardToMerge: shard(2) });
result.target = (await call("UpdateShardCount",
  { StreamName: "js", TargetShardCount: 2, ScalingType: "UNIFORM_SCALING" })).TargetShardCount;
await sdk.waitUntilStreamExists({ client: kinesis, maxWaitTime: 20, minDelay: 1 }, { StreamName: "js" });
try {
  await call("DescribeStream", { StreamName: "none" });
} catch (error) {
  result.error = [error.name, error.message];
}
await call("DeleteStream", { StreamName: "js", EnforceConsumerDeletion: true });
result.left = (await call("ListStreams", {})).StreamNames;
kinesis.destroy();
console.log(JSON.stringify(result));
