// One message of the live feed, a JSON object:
//
//   member         type                      meaning
//   latest         string, or null           the last payload; null or absent: there was none yet
//   latest_base64  string                    the last payload when it is not valid UTF-8; wins over latest
//   count          string of decimal digits  messages so far; may exceed 2^53
//   updated        string (RFC 3339)         when the state changed last; null or absent: never
//
// Unknown members are ignored. A message that breaks these rules throws, and the page keeps what it showed.

import { decodeBase64 } from "./payload.js";

const COUNT_DIGITS_MAX = 40;

export function parseFeedMessage(json) {
  const message = JSON.parse(json);
  if (message === null || typeof message !== "object") throw new TypeError("a feed message must be an object");
  return {
    count: parseCount(message.count),
    payload: parsePayload(message),
    updated: parseUpdated(message.updated),
  };
}

function parseCount(count) {
  if (count === undefined || count === null) return 0n;
  const digits = String(count);
  if (digits.length > COUNT_DIGITS_MAX || !/^[0-9]+$/.test(digits)) {
    throw new TypeError("count must be a string of decimal digits");
  }
  return BigInt(digits);
}

function parsePayload({ latest, latest_base64: base64 }) {
  if (typeof base64 === "string") return { bytes: decodeBase64(base64) };
  if (typeof latest === "string") return { text: latest };
  if (latest === undefined || latest === null) return null;
  throw new TypeError("latest must be a string");
}

function parseUpdated(updated) {
  if (updated === undefined || updated === null || updated === "") return null;
  const atMs = Date.parse(updated);
  if (Number.isNaN(atMs)) throw new TypeError("updated must be an RFC 3339 time");
  return { text: updated, atMs };
}
