import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.js";

test("the ceiling doubles up to the most and starts again after a reset", () => {
  const backoff = new Backoff({ firstMs: 100, mostMs: 500, random: () => 1 });
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.nextDelayMs()), [100, 200, 400, 500, 500]);
  backoff.reset();
  assert.equal(backoff.nextDelayMs(), 100);
});

test("the jitter stays in the upper half of the ceiling", () => {
  assert.equal(new Backoff({ firstMs: 100, random: () => 0 }).nextDelayMs(), 50);
  assert.equal(new Backoff({ firstMs: 100, random: () => 0.5 }).nextDelayMs(), 75);
});
