// One MQTT 5 session over WebSocket, as the test client needs it.
//
// It connects when it is first used, comes back by itself, and subscribes again to what the user asked for. Every
// attempt is a fresh MQTT.js client with a clean start: a publish that was not acknowledged when the connection broke is
// reported as lost and never silently sent again, because a test client must show what really happened.
//
// A refusal that a retry cannot mend (bad credentials, not authorized) ends the session until the user connects again.

import mqtt from "mqtt";
import { Reconnector } from "./reconnector.js";

const CONNECT_TIMEOUT_MS = 10_000;
const SUBSCRIPTIONS_MAX = 50;
const IN_FLIGHT_MAX = 100;

// Browsers wake the timers of a hidden page once a minute; a ping after 180 s stays in time (MQTT 5.0 section 3.1.2.10
// gives one and a half times this).
const KEEPALIVE_S = 180;

// MQTT 5.0 section 3.2.2.2: the CONNACK reason codes that may pass.
const PASSING_REFUSALS = new Set([0x80, 0x88, 0x89, 0x97, 0x9f]);

// MQTT 5.0 section 3.14.2.1: the server hands the session to another client; coming back would take it over again.
const SESSION_TAKEN_OVER = 0x8e;
const NO_MATCHING_SUBSCRIBERS = 0x10;

export class MqttSession {
  // linkChanged() and subscriptionsChanged() are called when link or subscriptions have a new state;
  // message({ topic, payload, qos, retain }) for each message, whose payload is only valid during the call.
  constructor({ url, linkChanged, subscriptionsChanged, message }) {
    Object.assign(this, { url, linkChanged, subscriptionsChanged, message });
    this.clientId = `weir-page-${randomHex(8)}`;
    this.credentials = {};
    this.subscriptions = new Map();
    this.client = null;
    this.waiting = new Set();
    this.inFlight = 0;
    this.lossReason = "";
    this.link = new Reconnector({ open: () => this.#open(), changed: () => this.#linkChanged() });
  }

  start() {
    this.link.start();
  }

  stop(reason = "") {
    this.#dropClient();
    this.link.stop(reason);
  }

  // Resolves to { acknowledged, elapsedMs, note } or rejects with an Error that says why.
  async publish({ topic, payload, qos, retain }) {
    if (this.inFlight >= IN_FLIGHT_MAX) throw new Error(`${IN_FLIGHT_MAX} publishes are still waiting`);
    this.inFlight++;
    try {
      await this.#whenOpen();
      return await publishOn(this.client, { topic, payload, qos, retain });
    } finally {
      this.inFlight--;
    }
  }

  subscribe(filter, qos) {
    if (!this.subscriptions.has(filter) && this.subscriptions.size >= SUBSCRIPTIONS_MAX) {
      throw new Error(`at most ${SUBSCRIPTIONS_MAX} subscriptions`);
    }
    this.subscriptions.set(filter, { filter, qos, state: "waiting", detail: "" });
    this.subscriptionsChanged();
    if (this.link.state === "open") this.#sendSubscribe(this.subscriptions.get(filter));
    else this.start();
  }

  unsubscribe(filter) {
    const subscription = this.subscriptions.get(filter);
    this.subscriptions.delete(filter);
    this.subscriptionsChanged();
    if (subscription && this.link.state === "open") this.client.unsubscribe(filter);
  }

  #open() {
    this.lossReason = "";
    const client = mqtt.connect(this.url, {
      ...this.credentials,
      protocolVersion: 5,
      clientId: this.clientId,
      clean: true,
      keepalive: KEEPALIVE_S,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0,
      resubscribe: false,
      // MQTT.js would make a worker from a blob: address, which the page's content security policy forbids.
      timerVariant: "native",
    });
    this.client = client;
    const whenCurrent = (handle) => (...args) => client === this.client && handle(...args);
    client.on("connect", whenCurrent(() => this.#connected()));
    client.on("message", whenCurrent((topic, payload, { qos, retain }) => this.message({ topic, payload, qos, retain })));
    client.on("disconnect", whenCurrent(({ reasonCode }) => this.#disconnected(reasonCode)));
    client.on("error", whenCurrent((error) => this.#failed(error)));
    client.on("close", whenCurrent(() => this.#closed()));
  }

  #connected() {
    this.link.opened();
    for (const subscription of this.subscriptions.values()) this.#sendSubscribe(subscription);
  }

  #failed(error) {
    const isRefusal = /^Connection refused/.test(error.message);
    if (isRefusal && !PASSING_REFUSALS.has(error.code)) this.stop(describeError(error));
    else this.lossReason = describeError(error);
  }

  #disconnected(reasonCode) {
    this.lossReason = describeReason(reasonCode) || "closed by the server";
    if (reasonCode === SESSION_TAKEN_OVER) this.stop(this.lossReason);
  }

  #closed() {
    this.#dropClient();
    this.link.lost(this.lossReason);
  }

  // Says goodbye with a DISCONNECT, unless an acknowledgement is outstanding: MQTT.js would wait for it without end.
  #dropClient() {
    const client = this.client;
    this.client = null;
    client?.end(!client.connected || Object.keys(client.outgoing).length > 0);
  }

  #linkChanged() {
    const { state, reason } = this.link;
    if (state === "open") this.#settleWaiting(null);
    else if (state === "idle") this.#settleWaiting(new Error(reason || "disconnected"));
    if (state === "waiting" || state === "idle") this.#forgetGrants();
    this.linkChanged();
  }

  #forgetGrants() {
    for (const subscription of this.subscriptions.values()) {
      Object.assign(subscription, { state: "waiting", detail: "" });
    }
    this.subscriptionsChanged();
  }

  #sendSubscribe(subscription) {
    subscription.state = "pending";
    this.subscriptionsChanged();
    this.client.subscribe(subscription.filter, { qos: subscription.qos }, (error, granted) => {
      if (this.subscriptions.get(subscription.filter) !== subscription || subscription.state !== "pending") return;
      subscription.state = error ? "refused" : "granted";
      subscription.detail = error ? describeError(error) : `QoS ${granted[0].qos}`;
      this.subscriptionsChanged();
    });
  }

  #whenOpen() {
    if (this.link.state === "open") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = (error) => {
        clearTimeout(timeout);
        this.waiting.delete(waiter);
        if (error) reject(error);
        else resolve();
      };
      const late = () => waiter(new Error(this.link.reason || "no connection to the broker"));
      const timeout = setTimeout(late, CONNECT_TIMEOUT_MS);
      this.waiting.add(waiter);
      this.start();
    });
  }

  #settleWaiting(error) {
    for (const waiter of [...this.waiting]) waiter(error);
  }
}

function publishOn(client, { topic, payload, qos, retain }) {
  if (!client?.connected) throw new Error("the connection closed before the message was sent");
  const sentAtMs = performance.now();
  return new Promise((resolve, reject) => {
    client.publish(topic, payload, { qos, retain }, (error, packet) => {
      const elapsedMs = performance.now() - sentAtMs;
      if (error) return reject(new Error(describePublishError(error)));
      const note = packet?.reasonCode === NO_MATCHING_SUBSCRIBERS ? describeReason(NO_MATCHING_SUBSCRIBERS) : "";
      return resolve({ acknowledged: qos > 0, elapsedMs, note });
    });
  });
}

function describePublishError(error) {
  return error.message === "Connection closed" ? "the connection closed before the PUBACK came" : describeError(error);
}

function describeReason(code) {
  const text = mqtt.ReasonCodes[code];
  return text ? `${text} (0x${code.toString(16).padStart(2, "0")})` : "";
}

function describeError(error) {
  if (error.message === "WebSocket error") return "no connection to the broker";
  const code = error.code ?? error.packet?.granted?.find((granted) => granted >= 0x80);
  return describeReason(code) || error.message;
}

// crypto.randomUUID() is missing on a page that came over plain HTTP from another machine.
function randomHex(digits) {
  const bytes = crypto.getRandomValues(new Uint8Array(digits / 2));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
