// Numbers and times as the page writes them.

// The digits in groups of three, from the right. The page sets the groups apart with margins, so that the text which
// is selected and copied stays a plain number.
export function groupDigits(digits) {
  const first = digits.length % 3;
  const groups = first === 0 ? [] : [digits.slice(0, first)];
  for (let i = first; i < digits.length; i += 3) groups.push(digits.slice(i, i + 3));
  return groups;
}

export function formatAgo(elapsedMs) {
  const seconds = Math.floor(Math.max(elapsedMs, 0) / 1000);
  if (seconds < 1) return "just now";
  if (seconds < 100) return `${seconds} s ago`;
  if (seconds < 100 * 60) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

export function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  return kib < 1024 ? `${threeDigits(kib)} KiB` : `${threeDigits(kib / 1024)} MiB`;
}

export function formatRate(perSecond) {
  if (perSecond < 9_999.5) return threeDigits(perSecond);
  const thousands = perSecond / 1000;
  return thousands < 999.5 ? `${threeDigits(thousands)}k` : `${threeDigits(thousands / 1000)}M`;
}

function threeDigits(value) {
  if (value === 0) return "0";
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

export function formatMilliseconds(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

// 24 hours in every locale, as in the logs that the times are compared with.
const timeOfDay = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const clock = new Intl.DateTimeFormat(undefined, timeOfDay);
const fineClock = new Intl.DateTimeFormat(undefined, { ...timeOfDay, fractionalSecondDigits: 3 });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function formatLocalTime(atMs) {
  return clock.format(atMs);
}

export function formatLocalTimeFine(atMs) {
  return fineClock.format(atMs);
}

// The local date, or nothing when it is the day of nowMs.
export function formatOtherDay(atMs, nowMs) {
  const isSameDay = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return isSameDay ? "" : calendar.format(atMs);
}

// What the page says of a link. The countdown stands apart because a screen reader must not hear it every second.
export function describeLink({ state, reason, retryAtMs }, nowMs, isOnline) {
  if (state === "open") return { look: "live", text: "Live", countdown: "" };
  if (state === "connecting") return { look: "busy", text: "Connecting…", countdown: "" };
  if (state === "idle") return { look: reason ? "bad" : "idle", text: reason || "Not connected", countdown: "" };
  const seconds = Math.max(Math.ceil((retryAtMs - nowMs) / 1000), 0);
  if (!isOnline) return { look: "bad", text: "Offline", countdown: ` · next try in ${seconds} s` };
  return { look: "busy", text: "Reconnecting", countdown: ` in ${seconds} s` };
}
