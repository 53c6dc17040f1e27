// The MQTT test client of the page: publish, subscribe, and the messages that arrive.
//
// Arriving messages go into a bounded log; the list in the document is brought up to date at most once per animation
// frame, and holds no more items than the log. While it is paused the log goes on, so that the newest are there afterwards.

import { describeLink, formatBytes, formatLocalTimeFine, formatMilliseconds } from "./format.js";
import { oncePerFrame } from "./frame.js";
import { MessageLog } from "./message-log.js";
import { MqttSession } from "./mqtt-session.js";
import { dumpColumns, element, make, showLink } from "./page.js";
import { presentBytes } from "./payload.js";
import { checkTopicFilter, checkTopicName } from "./topic.js";

const MESSAGES_MAX = 200;
const KEPT_BYTES_MAX = 16 * 1024;

export class MqttView {
  constructor(url) {
    this.log = new MessageLog(MESSAGES_MAX);
    this.shownUpTo = 0;
    this.isPaused = false;
    this.publishes = 0;
    this.drawMessages = oncePerFrame(() => this.#drawMessages());
    this.drawSubscriptions = oncePerFrame(() => this.#drawSubscriptions());
    this.drawLink = oncePerFrame(() => this.#drawLink());
    this.session = new MqttSession({
      url,
      linkChanged: this.drawLink,
      subscriptionsChanged: this.drawSubscriptions,
      message: (message) => this.#receive(message),
    });
  }

  start() {
    element("publish-form").addEventListener("submit", (event) => this.#publish(event));
    element("publish-payload").addEventListener("keydown", submitOnCtrlEnter);
    element("subscribe-form").addEventListener("submit", (event) => this.#subscribe(event));
    element("login-form").addEventListener("submit", (event) => this.#login(event));
    element("mqtt-toggle").addEventListener("click", () => this.#toggle());
    element("messages-pause").addEventListener("click", () => this.#togglePause());
    element("messages-clear").addEventListener("click", () => this.#clear());
    setInterval(this.drawLink, 1000);
    this.drawLink();
    this.drawSubscriptions();
    this.drawMessages();
  }

  hurry() {
    this.session.link.hurry();
  }

  #toggle() {
    if (this.session.link.state === "idle") this.session.start();
    else this.session.stop();
  }

  #login(event) {
    event.preventDefault();
    const username = element("mqtt-username").value;
    const password = element("mqtt-password").value;
    this.session.credentials = { username: username || undefined, password: password || undefined };
    this.session.stop();
    this.session.start();
  }

  async #publish(event) {
    event.preventDefault();
    const topic = element("publish-topic").value;
    const wrong = checkTopicName(topic);
    if (wrong) return showResult("publish-result", "bad", `Not sent: ${wrong}`);
    const number = ++this.publishes;
    const say = (look, text) => number === this.publishes && showResult("publish-result", look, text);
    const qos = Number(element("publish-qos").value);
    const isOpen = this.session.link.state === "open";
    say("busy", !isOpen ? "Connecting…" : qos === 0 ? "Sending…" : "Waiting for the PUBACK…");
    try {
      const payload = element("publish-payload").value;
      const result = await this.session.publish({ topic, payload, qos, retain: element("publish-retain").checked });
      say("good", describeResult(result));
    } catch (error) {
      say("bad", `Failed: ${error.message}`);
    }
  }

  #subscribe(event) {
    event.preventDefault();
    const filter = element("subscribe-filter").value;
    const wrong = checkTopicFilter(filter);
    if (wrong) return showResult("subscribe-result", "bad", `Not subscribed: ${wrong}`);
    showResult("subscribe-result", "", "");
    try {
      this.session.subscribe(filter, Number(element("subscribe-qos").value));
    } catch (error) {
      showResult("subscribe-result", "bad", `Not subscribed: ${error.message}`);
    }
  }

  #receive({ topic, payload, qos, retain }) {
    const bytes = new Uint8Array(payload.subarray(0, KEPT_BYTES_MAX));
    this.log.push({ topic, qos, retain, atMs: Date.now(), bytes, sizeBytes: payload.length });
    this.drawMessages();
  }

  #togglePause() {
    this.isPaused = !this.isPaused;
    const button = element("messages-pause");
    button.setAttribute("aria-pressed", String(this.isPaused));
    this.drawMessages();
  }

  #clear() {
    this.log.clear();
    this.shownUpTo = 0;
    element("messages").replaceChildren();
    this.drawMessages();
  }

  #drawMessages() {
    const list = element("messages");
    if (!this.isPaused && this.log.received > this.shownUpTo) {
      const columns = dumpColumns(list);
      list.prepend(...this.log.newerThan(this.shownUpTo).map((message) => messageItem(message, columns)));
      while (list.childElementCount > MESSAGES_MAX) list.lastElementChild.remove();
      this.shownUpTo = this.log.received;
    }
    element("messages-empty").hidden = list.childElementCount > 0;
    element("messages-count").textContent = this.#describeLog();
  }

  #describeLog() {
    const { received, dropped } = this.log;
    const parts = [`${received} received`];
    if (dropped > 0) parts.push(`${dropped} dropped, newest ${MESSAGES_MAX} kept`);
    if (this.isPaused) parts.push(`paused, ${received - this.shownUpTo} new`);
    return parts.join(" · ");
  }

  #drawSubscriptions() {
    const rows = [...this.session.subscriptions.values()].map((subscription) => this.#subscriptionItem(subscription));
    element("subscriptions").replaceChildren(...rows);
  }

  #subscriptionItem({ filter, state, detail }) {
    const item = make("li", "subscription");
    const label = { waiting: "not connected", pending: "waiting for the SUBACK…", granted: detail, refused: detail }[state];
    const button = make("button", "quiet", "Unsubscribe");
    button.type = "button";
    button.setAttribute("aria-label", `Unsubscribe from ${filter}`);
    button.addEventListener("click", () => this.session.unsubscribe(filter));
    const status = make("span", "subscription-state", label);
    status.dataset.look = state === "refused" ? "bad" : "";
    item.append(make("code", "subscription-filter", filter), status, button);
    return item;
  }

  #drawLink() {
    const { link } = this.session;
    const described = describeLink(link, Date.now(), navigator.onLine);
    if (link.state === "open") described.text = "Connected";
    if (link.state === "waiting" && link.reason) described.text = `${link.reason}, retrying`;
    showLink(element("mqtt-state"), described);
    element("mqtt-toggle").textContent = link.state === "idle" ? "Connect" : "Disconnect";
  }
}

function messageItem({ topic, qos, retain, atMs, bytes, sizeBytes }, columns) {
  const item = make("li", "message");
  const head = make("div", "message-head");
  const time = make("time", "message-time", formatLocalTimeFine(atMs));
  time.dateTime = new Date(atMs).toISOString();
  const facts = [`QoS ${qos}`, retain ? "retained" : "", formatBytes(sizeBytes)].filter(Boolean).join(" · ");
  head.append(make("code", "message-topic", topic), make("span", "message-facts", facts), time);
  const { kind, text, cut } = presentBytes(bytes, { sizeBytes, columns });
  const payload = make("pre", "message-payload", kind === "empty" ? "(empty payload)" : text);
  payload.dataset.kind = kind;
  item.append(head, payload);
  if (cut > 0) item.append(make("p", "message-cut", `${formatBytes(cut)} more not shown`));
  return item;
}

function describeResult({ acknowledged, elapsedMs, note }) {
  if (!acknowledged) return "Sent; QoS 0 has no acknowledgement";
  return `PUBACK after ${formatMilliseconds(elapsedMs)}${note ? ` · ${note}` : ""}`;
}

function showResult(id, look, text) {
  const output = element(id);
  output.dataset.look = look;
  output.textContent = text;
}

function submitOnCtrlEnter(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.form.requestSubmit();
}
