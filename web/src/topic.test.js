import assert from "node:assert/strict";
import { test } from "node:test";
import { checkTopicFilter, checkTopicName } from "./topic.js";

test("topic names", () => {
  for (const topic of ["topic/sensors", "/", "$aws/things/a/shadow/update", "a b"]) assert.equal(checkTopicName(topic), "");
  for (const topic of ["", "a/#", "+", "a\0", "é".repeat(32_768)]) assert.notEqual(checkTopicName(topic), "");
});

test("topic filters", () => {
  for (const filter of ["#", "topic/#", "+/a/+", "/", "$share/group/a/+"]) assert.equal(checkTopicFilter(filter), "");
  for (const filter of ["", "a/#/b", "a#", "a+/b", "\0"]) assert.notEqual(checkTopicFilter(filter), "");
});
