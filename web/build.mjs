// node build.mjs: write dist/, which pages use without a build step of their own, and the page of which
// `giantkiller export --format web` makes a self-contained one.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const PAGE = "../src/giantkiller/export/page.html";
const WASM = "ort-wasm-simd-threaded.wasm";

const bundled = async (entry, options = { format: "esm" }) => {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    ...options,
    target: "es2022",
    platform: "browser",
    conditions: ["import"],
    external: ["node:*", "module", "worker_threads", "fs", "path", "url", "crypto"],
    legalComments: "inline",
    charset: "ascii",
    write: false,
  });
  return outputFiles[0].text;
};

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
for (const [entry, name] of [["index", "giantkiller"], ["nudge", "nudge"], ["worker", "worker"]]) {
  writeFileSync(`dist/${name}.js`, await bundled(`src/${entry}.js`));
}
cpSync(`node_modules/onnxruntime-web/dist/${WASM}`, `dist/${WASM}`);

// The page: scripts and styles inside, allowed by their hashes and nothing else.
const css = readFileSync("src/page/page.css", "utf8");
const inline = (code) => code.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
const js = inline(await bundled("src/page/page.js"));
const hash = (code) => `'sha256-${createHash("sha256").update(code).digest("base64")}'`;
// From a file:// page browsers start no module worker, only a classic one.
const worker = await bundled("src/worker.js", { format: "iife", define: { "import.meta.url": "self.location.href" } });
const wasm = gzipSync(readFileSync(`dist/${WASM}`), { level: 9 }).toString("base64");
const parts = {
  SCRIPT: hash(js),
  STYLE: hash(css),
  CSS: css,
  JS: js,
  DATA: `<script type="text/plain" id="worker">${inline(worker)}</script>
<script type="text/plain" id="wasm">${wasm}</script>`,
};
const page = readFileSync("src/page/page.html", "utf8").replace(/%([A-Z]+)%/g, (whole, name) => parts[name] ?? whole);
writeFileSync(PAGE, page);
