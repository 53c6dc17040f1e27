// How a payload is shown: as JSON, as text or as a hex dump. Nothing here touches the document; the caller puts the
// resulting string into a text node, so a payload can hold any markup.

const TEXT_CHARS_MAX = 256 * 1024;
const PRETTY_CHARS_MAX = 128 * 1024;
const PRETTY_DEPTH_MAX = 64;
const DUMP_BYTES_MAX = 16 * 1024;

// A payload that the server gave as text: { kind: "json" | "text" | "empty", text, cut }, where cut is the number of
// characters that are not shown.
export function presentText(text) {
  if (text === "") return { kind: "empty", text: "", cut: 0 };
  const pretty = prettyJson(text);
  const shown = pretty ?? text;
  const cut = Math.max(shown.length - TEXT_CHARS_MAX, 0);
  return { kind: pretty === null ? "text" : "json", text: showControls(shown.slice(0, TEXT_CHARS_MAX)), cut };
}

// A payload of unknown bytes: { kind: "text" | "hex" | "empty", text, cut }, where cut counts bytes. sizeBytes is the
// length of the whole payload, of which bytes may be only the beginning.
export function presentBytes(bytes, { sizeBytes = bytes.length, columns = 16 } = {}) {
  if (sizeBytes === 0) return { kind: "empty", text: "", cut: 0 };
  const text = decodeText(bytes, sizeBytes > bytes.length);
  if (text !== null) return { kind: "text", text, cut: sizeBytes - bytes.length };
  return presentBinary(bytes, { sizeBytes, columns });
}

// A payload that is shown as a hex dump whatever it holds.
export function presentBinary(bytes, { sizeBytes = bytes.length, columns = 16 } = {}) {
  const shown = bytes.subarray(0, DUMP_BYTES_MAX);
  return { kind: "hex", text: hexDump(shown, columns), cut: sizeBytes - shown.length };
}

// The text of the bytes, or null when they are not UTF-8 or hold control characters that no text has. When the bytes
// are only the beginning of a payload, a character that is cut off at the end is left out.
export function decodeText(bytes, isCut = false) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
    return /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

// Makes control characters visible with the pictures that Unicode has for them; tab and line ends stay.
export function showControls(text) {
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g, (c) =>
    c === "\x7f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0)),
  );
}

export function decodeBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Offset, bytes, printable ASCII; one line per row of columns bytes, as hexdump -C writes them.
export function hexDump(bytes, columns = 16) {
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += columns) {
    const row = Array.from(bytes.subarray(offset, offset + columns));
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${offset.toString(16).padStart(6, "0")}  ${hex.padEnd(columns * 3 - 1)}  |${ascii}|`);
  }
  return lines.join("\n");
}

// The JSON object or array indented, or null when the text is none, or is too long or too deep to indent. The text is
// re-spaced rather than parsed and printed: numbers keep every digit, and repeated or reordered keys stay as they are.
export function prettyJson(text) {
  if (text.length > PRETTY_CHARS_MAX || !/^\s*[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  return respace(text);
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]|[^\s[\]{},:"]+/g;

function respace(text) {
  const tokens = text.match(TOKEN);
  const out = [];
  let depth = 0;
  const newline = () => out.push("\n", "  ".repeat(depth));
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === "{" || token === "[") {
      out.push(token);
      const closes = tokens[i + 1] === "}" || tokens[i + 1] === "]";
      if (closes) out.push(tokens[++i]);
      else if (++depth > PRETTY_DEPTH_MAX) return null;
      else newline();
    } else if (token === "}" || token === "]") {
      depth--;
      newline();
      out.push(token);
    } else if (token === ",") {
      out.push(token);
      newline();
    } else {
      out.push(token === ":" ? ": " : token);
    }
  }
  return out.join("");
}
