// Exponential back-off with jitter.
//
// The ceiling doubles from firstMs to mostMs; each delay is drawn from the upper half of the ceiling, so that pages
// which lost the same server do not come back in step, and none comes back at once.

export class Backoff {
  constructor({ firstMs = 500, mostMs = 30_000, random = Math.random } = {}) {
    this.firstMs = firstMs;
    this.mostMs = mostMs;
    this.random = random;
    this.ceilingMs = firstMs;
  }

  nextDelayMs() {
    const half = this.ceilingMs / 2;
    this.ceilingMs = Math.min(this.ceilingMs * 2, this.mostMs);
    return Math.round(half + half * this.random());
  }

  reset() {
    this.ceilingMs = this.firstMs;
  }
}
