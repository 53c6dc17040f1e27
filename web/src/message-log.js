// The newest messages, at most capacity of them. Each gets a sequence number from 1; the oldest give way and are counted.

export class MessageLog {
  constructor(capacity) {
    this.capacity = capacity;
    this.ring = new Array(capacity);
    this.clear();
  }

  clear() {
    this.ring.fill(undefined);
    this.received = 0;
  }

  get dropped() {
    return Math.max(this.received - this.capacity, 0);
  }

  push(message) {
    this.ring[this.received++ % this.capacity] = message;
  }

  // The kept messages with a sequence number above seen, newest first.
  newerThan(seen) {
    const newer = [];
    const oldest = Math.max(seen, this.dropped);
    for (let n = this.received; n > oldest; n--) newer.push(this.ring[(n - 1) % this.capacity]);
    return newer;
  }
}
