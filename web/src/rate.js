// Messages per second, derived from a running count and the times at which the page learned of it.
//
// One bucket per second of the client's clock, in a ring that holds the shown window and the running second.
//   - While the feed is up, an increase belongs to the second in which it arrived; a second without one is 0.
//   - While the feed is down, a second is unknown (NaN). The first count after that tells how much came meanwhile; it
//     is spread evenly over the gap.
//   - A count that falls means that the state was reset: it becomes the new base and adds nothing.
// Counts are BigInt, because they may exceed 2^53; a difference is small enough for a double.

const CLOCK_STEP_BACK_MS = 2_000;

export class RateSeries {
  constructor(windowSeconds) {
    this.windowSeconds = windowSeconds;
    this.ring = new Float64Array(windowSeconds + 2);
    this.clear();
  }

  clear() {
    this.ring.fill(NaN);
    this.newest = null;
    this.count = null;
    this.up = false;
    this.knownUntilMs = 0;
  }

  observe(count, nowMs) {
    this.#advance(nowMs);
    const increase = this.count === null || count < this.count ? 0 : Number(count - this.count);
    if (this.up || this.count === null) this.#add(this.newest, increase);
    else this.#spread(this.knownUntilMs, nowMs, increase);
    this.count = count;
    this.up = true;
    this.knownUntilMs = nowMs;
  }

  // The feed is down from now on: seconds stay unknown until the next observe().
  lost(nowMs) {
    if (!this.up) return;
    this.#advance(nowMs);
    this.up = false;
    this.knownUntilMs = nowMs;
  }

  // The complete seconds of the window, oldest first; null where nothing is known.
  values(nowMs) {
    this.#advance(nowMs);
    const values = new Array(this.windowSeconds);
    const first = Math.floor(nowMs / 1000) - this.windowSeconds;
    for (let i = 0; i < values.length; i++) values[i] = this.#at(first + i);
    return values;
  }

  // The mean of the known ones among the last complete seconds; null when none is known.
  mean(nowMs, seconds) {
    const known = this.values(nowMs).slice(-seconds).filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
  }

  #at(second) {
    if (this.newest === null || second > this.newest || second <= this.newest - this.ring.length) return null;
    const value = this.ring[second % this.ring.length];
    return Number.isNaN(value) ? null : value;
  }

  #advance(nowMs) {
    const second = Math.floor(nowMs / 1000);
    if (this.newest !== null && nowMs < this.newest * 1000 - CLOCK_STEP_BACK_MS) {
      const { count, up } = this;
      this.clear();
      Object.assign(this, { count, up, knownUntilMs: nowMs });
    }
    if (this.newest === null) {
      this.newest = second - 1;
    }
    const first = Math.max(this.newest + 1, second - this.ring.length + 1);
    for (let s = first; s <= second; s++) this.ring[s % this.ring.length] = this.up ? 0 : NaN;
    this.newest = Math.max(this.newest, second);
  }

  #add(second, amount) {
    const slot = second % this.ring.length;
    this.ring[slot] = (Number.isNaN(this.ring[slot]) ? 0 : this.ring[slot]) + amount;
  }

  #spread(fromMs, toMs, amount) {
    const spanMs = Math.max(toMs - fromMs, 1);
    const last = this.newest;
    const first = Math.max(Math.floor(fromMs / 1000), last - this.ring.length + 1);
    for (let second = first; second <= last; second++) {
      const overlapMs = Math.min(toMs, (second + 1) * 1000) - Math.max(fromMs, second * 1000);
      this.#add(second, (amount * Math.max(overlapMs, 0)) / spanMs);
    }
    if (toMs <= fromMs) this.#add(last, amount);
  }
}
