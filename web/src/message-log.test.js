import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageLog } from "./message-log.js";

test("the newest messages stay, newest first, and the rest is counted", () => {
  const log = new MessageLog(3);
  for (const text of ["a", "b", "c", "d", "e"]) log.push(text);
  assert.deepEqual(log.newerThan(0), ["e", "d", "c"]);
  assert.deepEqual(log.newerThan(4), ["e"]);
  assert.deepEqual(log.newerThan(5), []);
  assert.equal(log.received, 5);
  assert.equal(log.dropped, 2);
});

test("a cleared log starts again", () => {
  const log = new MessageLog(2);
  log.push("a");
  log.clear();
  assert.deepEqual(log.newerThan(0), []);
  log.push("b");
  assert.deepEqual(log.newerThan(0), ["b"]);
  assert.equal(log.dropped, 0);
});
