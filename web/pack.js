// Prepares the built page for being embedded: node pack.js FOLDER
//
// Beside each file it writes NAME.gz, and one list of all of them, page_files.inc, with the entity tags of both forms:
// the first 16 bytes of the SHA-256 of what is sent. The same page gives the same bytes (zlib writes no time).

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { constants, gzipSync } from "node:zlib";

const folder = argv[2];
const files = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/app.js", "app.js", "text/javascript; charset=utf-8"],
  ["/app.css", "app.css", "text/css; charset=utf-8"],
];

const tag = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 32);

const lines = [];
for (const [path, name, type] of files) {
  const plain = await readFile(join(folder, name));
  const packed = gzipSync(plain, { level: constants.Z_BEST_COMPRESSION });
  await writeFile(join(folder, `${name}.gz`), packed);
  lines.push(`X("${path}", ${name.replace(".", "_")}, "${type}", "${tag(plain)}", "${tag(packed)}")\n`);
}
await writeFile(join(folder, "page_files.inc"), lines.join(""));
