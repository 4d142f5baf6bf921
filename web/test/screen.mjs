// node test/screen.mjs BUNDLE IN OUT [IN OUT ...]: screen files as the page does, for tests/web.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Screener } from "../src/index.js";
import { screenTable } from "../src/table.js";

const [bundle, ...names] = process.argv.slice(2);
const read = (name) => readFileSync(join(bundle, name));
const files = { manifest: read("bundle.json"), model: read("model.onnx"), tokenizer: read("tokenizer.json") };
const screener = await Screener.load(files);
for (let i = 0; i < names.length; i += 2) {
  const { blob } = await screenTable(screener, new File([readFileSync(names[i])], basename(names[i])));
  writeFileSync(names[i + 1], Buffer.from(await blob.arrayBuffer()));
}
