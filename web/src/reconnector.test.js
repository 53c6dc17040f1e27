import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.js";
import { Reconnector } from "./reconnector.js";

// A link whose time stands still until pass() moves it.
function makeLink() {
  let nowMs = 0;
  let pending = null;
  const seen = [];
  const attempts = [];
  const timers = {
    setTimeout: (run, delayMs) => (pending = { run, atMs: nowMs + delayMs }),
    clearTimeout: (timer) => {
      if (timer === pending) pending = null;
    },
  };
  const link = new Reconnector({
    open: () => attempts.push(nowMs),
    changed: () => seen.push(link.state),
    backoff: new Backoff({ firstMs: 100, mostMs: 1000, random: () => 1 }),
    clock: () => nowMs,
    timers,
  });
  const pass = (ms) => {
    nowMs += ms;
    if (pending && pending.atMs <= nowMs) {
      const { run } = pending;
      pending = null;
      run();
    }
  };
  return { link, seen, attempts, pass };
}

test("a lost link is tried again with growing delays", () => {
  const { link, attempts, pass } = makeLink();
  link.start();
  link.lost();
  pass(99);
  assert.equal(link.state, "waiting");
  pass(1);
  link.lost();
  pass(200);
  assert.deepEqual(attempts, [0, 100, 300]);
  assert.equal(link.state, "connecting");
});

test("the delay starts again only after a link that lasted", () => {
  const { link, pass } = makeLink();
  link.start();
  link.lost();
  pass(100);
  link.opened();
  pass(4999);
  link.lost("gone");
  assert.equal(link.retryAtMs - 5099, 200);
  assert.equal(link.reason, "gone");
  pass(200);
  link.opened();
  assert.equal(link.reason, "");
  pass(5000);
  link.lost();
  assert.equal(link.retryAtMs - 10299, 100);
});

test("hurry ends the wait, and only a wait", () => {
  const { link, attempts, pass } = makeLink();
  link.hurry();
  assert.deepEqual(attempts, []);
  link.start();
  link.hurry();
  link.lost();
  link.hurry();
  assert.equal(attempts.length, 2);
  pass(1000);
  assert.equal(attempts.length, 2, "the timer of the wait is gone");
});

test("hurry starts the delays again", () => {
  const { link, pass } = makeLink();
  link.start();
  link.lost();
  pass(100);
  link.lost();
  link.start();
  link.lost();
  assert.equal(link.retryAtMs - 100, 100);
});

test("a stopped link stays idle", () => {
  const { link, seen, attempts, pass } = makeLink();
  link.start();
  link.lost();
  link.stop("refused");
  link.lost();
  pass(1000);
  assert.equal(attempts.length, 1);
  assert.equal(link.reason, "refused");
  assert.deepEqual(seen, ["connecting", "waiting", "idle"]);
});

test("a second loss of the same attempt changes nothing", () => {
  const { link } = makeLink();
  link.start();
  link.lost("first");
  const { retryAtMs } = link;
  link.lost("second");
  assert.equal(link.reason, "first");
  assert.equal(link.retryAtMs, retryAtMs);
});
