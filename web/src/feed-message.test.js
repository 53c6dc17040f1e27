import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFeedMessage } from "./feed-message.js";

const parse = (message) => parseFeedMessage(JSON.stringify(message));

test("a full message", () => {
  const state = parse({ latest: "x", count: "9007199254740993", updated: "2024-05-01T12:00:00.5Z", rate: 3, more: {} });
  assert.equal(state.count, 9_007_199_254_740_993n);
  assert.deepEqual(state.payload, { text: "x" });
  assert.deepEqual(state.updated, { text: "2024-05-01T12:00:00.5Z", atMs: Date.UTC(2024, 4, 1, 12, 0, 0, 500) });
});

test("fractions down to nanoseconds and offsets are understood", () => {
  const { updated } = parse({ updated: "2024-05-01T14:00:00.123456789+02:00" });
  assert.equal(updated.atMs, Date.UTC(2024, 4, 1, 12, 0, 0, 123));
});

test("before the first reading nothing is known", () => {
  assert.deepEqual(parse({ latest: null, count: "0", updated: null }), { count: 0n, payload: null, updated: null });
  assert.deepEqual(parse({}), { count: 0n, payload: null, updated: null });
});

test("latest_base64 wins over latest", () => {
  assert.deepEqual(parse({ latest: "?", latest_base64: "/wA=", count: "1" }).payload, { bytes: Uint8Array.of(255, 0) });
});

test("what breaks the contract throws", () => {
  for (const message of [null, 1, { count: "-1" }, { count: "1e3" }, { count: "9".repeat(41) }, { latest: 5 }, { updated: "soon" }]) {
    assert.throws(() => parse(message), undefined, JSON.stringify(message));
  }
  assert.throws(() => parseFeedMessage("{"));
});
