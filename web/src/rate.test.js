import assert from "node:assert/strict";
import { test } from "node:test";
import { RateSeries } from "./rate.js";

const at = (second, ms = 0) => (1_700_000_000 + second) * 1000 + ms;

test("an increase belongs to the second in which it arrived", () => {
  const rate = new RateSeries(5);
  rate.observe(100n, at(0));
  rate.observe(103n, at(1, 200));
  rate.observe(104n, at(1, 900));
  rate.observe(110n, at(3));
  assert.deepEqual(rate.values(at(4)), [null, 0, 4, 0, 6]);
});

test("the running second is not shown", () => {
  const rate = new RateSeries(2);
  rate.observe(0n, at(0));
  rate.observe(9n, at(1, 500));
  assert.deepEqual(rate.values(at(1, 999)), [null, 0]);
  assert.deepEqual(rate.values(at(2)), [0, 9]);
});

test("a quiet feed counts as zero", () => {
  const rate = new RateSeries(3);
  rate.observe(7n, at(0));
  assert.deepEqual(rate.values(at(60)), [0, 0, 0]);
});

test("the first count is the base, however large", () => {
  const rate = new RateSeries(2);
  rate.observe(9_007_199_254_740_993n, at(0));
  rate.observe(9_007_199_254_740_994n, at(1));
  assert.deepEqual(rate.values(at(2)), [0, 1]);
});

test("a count that falls becomes the new base", () => {
  const rate = new RateSeries(3);
  rate.observe(50n, at(0));
  rate.observe(2n, at(1));
  rate.observe(5n, at(2));
  assert.deepEqual(rate.values(at(3)), [0, 0, 3]);
});

test("what came while the feed was down is spread over the gap", () => {
  const rate = new RateSeries(6);
  rate.observe(0n, at(0));
  rate.lost(at(1));
  assert.deepEqual(rate.values(at(3)).slice(-3), [0, 0, null]);
  rate.observe(40n, at(5));
  assert.deepEqual(rate.values(at(6)), [0, 10, 10, 10, 10, 0]);
});

test("a gap longer than the window fills the window", () => {
  const rate = new RateSeries(3);
  rate.observe(0n, at(0));
  rate.lost(at(0));
  rate.observe(1000n, at(1000));
  assert.deepEqual(rate.values(at(1000)), [1, 1, 1]);
});

test("old seconds leave the ring", () => {
  const rate = new RateSeries(2);
  rate.observe(0n, at(0));
  for (let second = 1; second <= 20; second++) rate.observe(BigInt(second * second), at(second));
  assert.deepEqual(rate.values(at(21)), [37, 39]);
});

test("a clock that steps back starts the chart again and keeps the count", () => {
  const rate = new RateSeries(2);
  rate.observe(10n, at(100));
  rate.observe(12n, at(50));
  assert.deepEqual(rate.values(at(51)), [null, 2]);
});

test("a clock that steps back a little adds to the newest second", () => {
  const rate = new RateSeries(1);
  rate.observe(10n, at(100));
  rate.observe(12n, at(99));
  assert.deepEqual(rate.values(at(101)), [2]);
});

test("the mean is taken over the known seconds", () => {
  const rate = new RateSeries(10);
  assert.equal(rate.mean(at(0), 4), null);
  rate.observe(0n, at(0));
  rate.observe(6n, at(1));
  assert.equal(rate.mean(at(2), 4), 3);
  assert.equal(rate.mean(at(2), 1), 6);
});
