// Keeps one link alive: says when to try again and which state to show.
//
// States:
//   idle        nobody wants the link
//   connecting  open() was called, its outcome is not known yet
//   open        the link works
//   waiting     the link was lost; the next try is at retryAtMs
//
// The owner reports with opened() and lost(); open() is called by start(), by the retry timer and by hurry().
// A link that breaks soon after it opened does not reset the back-off: a server that accepts and closes at once
// must not be hammered.

import { Backoff } from "./backoff.js";

const STABLE_AFTER_MS = 5_000;

export class Reconnector {
  constructor({ open, changed, backoff = new Backoff(), clock = Date.now, timers = globalThis }) {
    this.open = open;
    this.changed = changed;
    this.backoff = backoff;
    this.clock = clock;
    this.timers = timers;
    this.state = "idle";
    this.reason = "";
    this.retryAtMs = 0;
    this.openedAtMs = 0;
    this.timer = null;
  }

  // Somebody wants the link now.
  start() {
    if (this.state === "idle") this.#attempt();
    else this.hurry();
  }

  opened() {
    this.openedAtMs = this.clock();
    this.reason = "";
    this.#enter("open");
  }

  lost(reason = "") {
    if (this.state === "idle" || this.state === "waiting") return;
    const nowMs = this.clock();
    if (this.state === "open" && nowMs - this.openedAtMs >= STABLE_AFTER_MS) this.backoff.reset();
    const delayMs = this.backoff.nextDelayMs();
    this.reason = reason;
    this.retryAtMs = nowMs + delayMs;
    this.timer = this.timers.setTimeout(() => this.#attempt(), delayMs);
    this.#enter("waiting");
  }

  // Tries now instead of at the end of the wait, because something suggests that it may work again.
  hurry() {
    if (this.state !== "waiting") return;
    this.backoff.reset();
    this.#attempt();
  }

  stop(reason = "") {
    this.timers.clearTimeout(this.timer);
    this.backoff.reset();
    this.reason = reason;
    this.#enter("idle");
  }

  #attempt() {
    this.timers.clearTimeout(this.timer);
    this.#enter("connecting");
    this.open();
  }

  #enter(state) {
    this.state = state;
    this.changed();
  }
}
