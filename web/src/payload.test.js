import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeBase64,
  decodeText,
  hexDump,
  presentBinary,
  presentBytes,
  presentText,
  prettyJson,
  showControls,
} from "./payload.js";

const utf8 = (text) => new TextEncoder().encode(text);

test("JSON is indented and keeps every digit, key and escape", () => {
  assert.equal(
    prettyJson('{"b":9007199254740993.10,"a":[1,{"x":"a\\"{,]"}],"b":{},"c":[ ]}'),
    '{\n  "b": 9007199254740993.10,\n  "a": [\n    1,\n    {\n      "x": "a\\"{,]"\n    }\n  ],\n  "b": {},\n  "c": []\n}',
  );
});

test("what is indented parses to the same value", () => {
  const json = '{"s":"\\\\","t":"\\u00e9 :,[]","n":[-1.5e-3,true,false,null,"",[[]],{"":{}}]}';
  assert.deepEqual(JSON.parse(prettyJson(json)), JSON.parse(json));
});

test("only objects and arrays are JSON to the page", () => {
  for (const text of ["21.5", '"text"', "null", "", "{", "{a:1}", "[1,]", "plain", "{} {}"]) {
    assert.equal(prettyJson(text), null, text);
  }
});

test("JSON that is too deep or too long is not indented", () => {
  assert.equal(prettyJson("[".repeat(65) + "1" + "]".repeat(65)), null);
  assert.notEqual(prettyJson("[".repeat(64) + "1" + "]".repeat(64)), null);
  assert.equal(prettyJson(`["${"x".repeat(128 * 1024)}"]`), null);
  assert.notEqual(prettyJson(`["${"x".repeat(100 * 1024)}"]`), null);
});

test("text is presented as it is, control characters made visible", () => {
  assert.deepEqual(presentText("<script>alert('1')</script>\n"), {
    kind: "text",
    text: "<script>alert('1')</script>\n",
    cut: 0,
  });
  assert.equal(showControls("a\0b\x1b\x7f\t\r\n"), "a\u2400b\u241b\u2421\t\r\n");
  assert.equal(presentText("").kind, "empty");
  assert.equal(presentText('{"a":1}').kind, "json");
});

test("a very long text is cut", () => {
  const presented = presentText("x".repeat(300 * 1024));
  assert.equal(presented.text.length, 256 * 1024);
  assert.equal(presented.cut, 44 * 1024);
});

test("bytes are text when they are UTF-8 without control characters", () => {
  assert.equal(decodeText(utf8("21 °C\t\r\n")), "21 °C\t\r\n");
  assert.equal(decodeText(Uint8Array.of(0xc3, 0x28)), null);
  assert.equal(decodeText(Uint8Array.of(0x61, 0x00)), null);
  assert.equal(decodeText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
});

test("a character that the cut divides is left out", () => {
  const whole = utf8("ab€");
  assert.equal(decodeText(whole.subarray(0, 4), true), "ab");
  assert.equal(decodeText(whole.subarray(0, 4), false), null);
  assert.deepEqual(presentBytes(whole.subarray(0, 4), { sizeBytes: 5 }), { kind: "text", text: "ab", cut: 1 });
});

test("a hex dump has offset, bytes and ASCII", () => {
  const bytes = Uint8Array.from([...utf8("0123456789abcdef"), 0x00, 0xff, 0x7e, 0x7f]);
  assert.equal(
    hexDump(bytes),
    "000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|\n" +
      "000010  00 ff 7e 7f                                      |..~.|",
  );
  assert.equal(hexDump(Uint8Array.of(1, 2, 3), 2), "000000  01 02  |..|\n000002  03     |.|");
  assert.equal(hexDump(new Uint8Array(0)), "");
});

test("binary is dumped up to a bound", () => {
  const presented = presentBinary(new Uint8Array(20_000), { columns: 8 });
  assert.equal(presented.kind, "hex");
  assert.equal(presented.cut, 20_000 - 16_384);
  assert.equal(presented.text.split("\n").length, 2048);
  assert.equal(presentBytes(Uint8Array.of(0xff)).kind, "hex");
  assert.equal(presentBytes(new Uint8Array(0)).kind, "empty");
});

test("base64 becomes bytes", () => {
  assert.deepEqual(decodeBase64("AP+A"), Uint8Array.of(0, 255, 128));
  assert.throws(() => decodeBase64("%%%"));
});
