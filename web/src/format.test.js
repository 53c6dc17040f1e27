import assert from "node:assert/strict";
import { test } from "node:test";
import { describeLink, formatAgo, formatBytes, formatMilliseconds, formatRate, groupDigits } from "./format.js";

test("digits are grouped from the right", () => {
  assert.deepEqual(groupDigits("9007199254740993"), ["9", "007", "199", "254", "740", "993"]);
  assert.deepEqual(groupDigits("123456"), ["123", "456"]);
  assert.deepEqual(groupDigits("0"), ["0"]);
});

test("ages", () => {
  const cases = [
    [-5_000, "just now"],
    [999, "just now"],
    [3_000, "3 s ago"],
    [99_999, "99 s ago"],
    [100_000, "1 min ago"],
    [3_600_000, "60 min ago"],
    [6_000_000, "1 h ago"],
    [172_800_000, "2 days ago"],
  ];
  for (const [ms, text] of cases) assert.equal(formatAgo(ms), text);
});

test("sizes, rates and delays have about three digits", () => {
  assert.deepEqual([0, 1023, 1024, 16_000, 102_400, 5_242_880].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.00 KiB",
    "15.6 KiB",
    "100 KiB",
    "5.00 MiB",
  ]);
  assert.deepEqual([0, 0.1, 9.999, 99.96, 9_999, 123_456, 2_500_000].map(formatRate), [
    "0",
    "0.10",
    "10.0",
    "100",
    "9999",
    "123k",
    "2.50M",
  ]);
  assert.deepEqual([0.44, 9.99, 12.5].map(formatMilliseconds), ["0.4 ms", "10.0 ms", "13 ms"]);
});

test("a link is described with its countdown apart", () => {
  const waiting = { state: "waiting", reason: "", retryAtMs: 5_000 };
  assert.deepEqual(describeLink(waiting, 1_001, true), { look: "busy", text: "Reconnecting", countdown: " in 4 s" });
  assert.equal(describeLink(waiting, 9_000, true).countdown, " in 0 s");
  assert.equal(describeLink(waiting, 0, false).text, "Offline");
  assert.equal(describeLink({ state: "open" }, 0, false).text, "Live");
  assert.equal(describeLink({ state: "idle", reason: "" }, 0, true).look, "idle");
  assert.deepEqual(describeLink({ state: "idle", reason: "Banned" }, 0, true), { look: "bad", text: "Banned", countdown: "" });
});
