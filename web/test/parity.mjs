// node test/parity.mjs BUNDLE TEXTS OUT: what this package makes of texts (JSON), for tests/web.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { probability } from "../src/calibration.js";
import { ATTRIBUTES, clean, cleanText, Policy, Screener } from "../src/index.js";

const [bundle, input, output] = process.argv.slice(2);
const content = (name) => readFileSync(join(bundle, name));
const screener = await Screener.load({
  manifest: content("bundle.json"),
  model: content("model.onnx"),
  tokenizer: content("tokenizer.json"),
});
const { texts, read: unscored, explained, rows, policies } = JSON.parse(readFileSync(input, "utf8"));
const logits = await screener.logits(texts);
// The model runs once for each text; that `judge` says the same is seen on the first ones.
const { calibration, threshold } = screener.bundle;
const verdicts = logits.map((row) => {
  const scores = ATTRIBUTES.map((attribute, i) => probability(calibration[attribute], row[i]));
  return screener.policy.judge(Float32Array.from(scores), threshold.toxicity);
});
assert.deepEqual(await screener.judge(texts.slice(0, 300)), verdicts.slice(0, 300));
const all = [...texts, ...unscored];
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
    cleaned: all.map(cleanText),
    same: all.map((text) => clean(text).text === cleanText(text)),
    ids: screener.encoder.encode(all).map((row) => [...row]),
    logits: logits.map((row) => [...row]),
    actions: verdicts.map((v) => [v.action, v.attribute, v.label]),
    spans,
    judged: judged.map((verdicts) => verdicts.map((v) => [v.action, v.attribute, v.score, v.label])),
  }),
);
