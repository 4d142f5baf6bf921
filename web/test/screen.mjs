// node test/screen.mjs BUNDLE IN OUT: screen a file as the page does, for tests/web.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Screener } from "../src/index.js";
import { screenTable } from "../src/table.js";

const [bundle, input, output] = process.argv.slice(2);
const read = (name) => readFileSync(join(bundle, name));
const files = { manifest: read("bundle.json"), model: read("model.onnx"), tokenizer: read("tokenizer.json") };
const screener = await Screener.load(files);
const { blob } = await screenTable(screener, new File([readFileSync(input)], basename(input)));
writeFileSync(output, Buffer.from(await blob.arrayBuffer()));
