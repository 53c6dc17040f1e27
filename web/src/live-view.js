// The live half of the page: message count, rate, last update, chart and last message.
//
// Messages of the feed only change fields here; the document is touched at most once per animation frame, and only
// where something changed. The passing of time (the age of the update, the chart) is drawn once per second.

import { Feed } from "./feed.js";
import { describeLink, formatAgo, formatBytes, formatLocalTime, formatOtherDay, formatRate, groupDigits } from "./format.js";
import { oncePerFrame } from "./frame.js";
import { dumpColumns, element, showLink } from "./page.js";
import { presentBinary, presentText } from "./payload.js";
import { RateChart } from "./rate-chart.js";
import { RateSeries } from "./rate.js";

const WINDOW_SECONDS = 300;
const MEAN_SECONDS = 10;
const LONG_COUNT_DIGITS = 12;
const NOTHING = "–";

// Laying out a payload of 100 KB takes tens of milliseconds; one that is longer than this is not drawn in every frame.
const LONG_PAYLOAD = 16 * 1024;
const LONG_PAYLOAD_REST_MS = 500;

export class LiveView {
  constructor(url) {
    this.state = null;
    this.shown = { count: null, payload: null, updated: null };
    this.nextPayloadAtMs = 0;
    this.payloadTimer = null;
    this.rate = new RateSeries(WINDOW_SECONDS);
    this.chart = new RateChart(element("rate-chart"), WINDOW_SECONDS, (value, age) => this.#hover(value, age));
    this.draw = oncePerFrame(() => this.#draw());
    this.drawTime = oncePerFrame(() => this.#drawTime());
    this.feed = new Feed({ url, message: (state) => this.#receive(state), changed: () => this.#linkChanged() });
  }

  start() {
    setInterval(this.drawTime, 1000);
    document.addEventListener("selectionchange", this.draw);
    this.drawTime();
    this.feed.start();
  }

  hurry() {
    this.feed.link.hurry();
  }

  #receive(state) {
    this.state = state;
    this.rate.observe(state.count, Date.now());
    this.draw();
  }

  #linkChanged() {
    if (this.feed.link.state === "waiting") this.rate.lost(Date.now());
    this.drawTime();
  }

  #draw() {
    if (!this.state) return;
    const { count, payload, updated } = this.state;
    if (count !== this.shown.count) showCount((this.shown.count = count));
    if (updated?.text !== this.shown.updated?.text) this.#drawUpdated();
    if (payload !== this.shown.payload && !isSelecting(element("last-message"))) this.#drawPayload();
  }

  #drawPayload() {
    const restMs = this.nextPayloadAtMs - performance.now();
    if (restMs > 0) {
      this.payloadTimer ??= setTimeout(() => {
        this.payloadTimer = null;
        this.draw();
      }, restMs);
      return;
    }
    const { payload } = this.state;
    this.shown.payload = payload;
    showPayload(payload);
    const length = (payload?.text ?? payload?.bytes ?? "").length;
    this.nextPayloadAtMs = length > LONG_PAYLOAD ? performance.now() + LONG_PAYLOAD_REST_MS : 0;
  }

  #drawUpdated() {
    const { updated } = this.state;
    this.shown.updated = updated;
    const output = element("last-update");
    if (updated) output.dateTime = updated.text;
    else output.removeAttribute("datetime");
    element("last-update-time").textContent = updated ? formatLocalTime(updated.atMs) : NOTHING;
    this.#drawAge(Date.now());
  }

  #drawAge(nowMs) {
    const { updated } = this.shown;
    const parts = updated ? [formatOtherDay(updated.atMs, nowMs), formatAgo(nowMs - updated.atMs)] : ["no message yet"];
    setText(element("last-update-age"), parts.filter(Boolean).join(" · "));
  }

  #drawTime() {
    const nowMs = Date.now();
    const link = describeLink(this.feed.link, nowMs, navigator.onLine);
    showLink(element("feed-state"), link);
    document.body.classList.toggle("is-stale", link.look !== "live");
    this.#drawAge(nowMs);
    this.chart.show(this.rate.values(nowMs));
    const mean = this.rate.mean(nowMs, MEAN_SECONDS);
    setText(element("message-rate"), mean === null ? NOTHING : formatRate(mean));
  }

  #hover(value, ageSeconds) {
    const at = formatLocalTime(Date.now() - (ageSeconds + 1) * 1000);
    const text = value == null ? "last 5 minutes" : `${at} · ${formatRate(value)} per s`;
    setText(element("rate-note"), text);
  }
}

function showCount(count) {
  const digits = String(count);
  const output = element("message-count");
  output.value = digits;
  output.classList.toggle("is-long", digits.length > LONG_COUNT_DIGITS);
  output.replaceChildren(
    ...groupDigits(digits).map((group) => {
      const part = document.createElement("span");
      part.textContent = group;
      return part;
    }),
  );
}

function showPayload(payload) {
  const output = element("last-message");
  const presented = present(payload, dumpColumns(output));
  output.textContent = presented.text || (payload ? "(empty payload)" : "No message yet.");
  output.dataset.kind = presented.kind;
  const size = payload?.bytes ? formatBytes(payload.bytes.length) : "";
  const cut = presented.cut > 0 ? `${presented.cut} ${payload.bytes ? "bytes" : "characters"} not shown` : "";
  setText(element("last-message-note"), [describeKind(presented.kind), size, cut].filter(Boolean).join(" · "));
}

function present(payload, columns) {
  if (!payload) return { kind: "empty", text: "", cut: 0 };
  return payload.bytes ? presentBinary(payload.bytes, { columns }) : presentText(payload.text);
}

function describeKind(kind) {
  return { json: "JSON", text: "text", hex: "binary" }[kind] ?? "";
}

// While its text is being selected, a message stays, so that it can be copied out of a fast feed.
function isSelecting(output) {
  const selection = document.getSelection();
  return !selection.isCollapsed && output.contains(selection.anchorNode);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
