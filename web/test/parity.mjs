// node test/parity.mjs BUNDLE TEXTS OUT: what this package makes of texts (a JSON list), for tests/web.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clean, cleanText, Policy, Screener } from "../src/index.js";

const [bundle, input, output] = process.argv.slice(2);
const read = (name) => readFileSync(join(bundle, name));
const screener = await Screener.load({
  manifest: read("bundle.json"),
  model: read("model.onnx"),
  tokenizer: read("tokenizer.json"),
});
const { texts, explained, rows, policies } = JSON.parse(readFileSync(input, "utf8"));
const logits = await screener.logits(texts);
const verdicts = await screener.judge(texts);
const spans = [];
for (const text of explained) {
  spans.push((await screener.explain(text)).map((s) => [text.slice(s.begin, s.end), s.contribution]));
}
const judged = policies.map((thresholds) => {
  const policy = new Policy(thresholds);
  return rows.map((row) => policy.judge(row));
});
writeFileSync(
  output,
  JSON.stringify({
    cleaned: texts.map(cleanText),
    same: texts.map((text) => clean(text).text === cleanText(text)),
    ids: screener.encoder.encode(texts).map((row) => [...row]),
    logits: logits.map((row) => [...row]),
    actions: verdicts.map((v) => [v.action, v.attribute, v.label]),
    spans,
    judged: judged.map((verdicts) => verdicts.map((v) => [v.action, v.attribute, v.score, v.label])),
  }),
);
