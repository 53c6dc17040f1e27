// Bundles the page into three files: index.html, app.js and app.css.
//
// The folder is named by the environment variable OUT (relative to this one, default dist). The page's licence
// obligations travel with the bundle: the full licence texts of the two libraries stand at the end of app.js.

import { build } from "esbuild";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(here, process.env.OUT || "dist");

// "*/" inside a licence would end the comment that carries it.
async function licence(name, file) {
  const text = await readFile(join(here, "node_modules", name, file), "utf8");
  return `/*! ${name}\n\n${text.trim().replaceAll("*/", "* /")}\n*/`;
}

const licences = await Promise.all([licence("uplot", "LICENSE"), licence("mqtt", "LICENSE.md")]);

await mkdir(out, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "src/app.js" },
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
  format: "esm",
  platform: "browser",
  target: ["es2021", "chrome100", "firefox100", "safari15.4"],
  legalComments: "eof",
  footer: { js: licences.join("\n") },
  logLevel: "warning",
});
await copyFile(join(here, "index.html"), join(out, "index.html"));
