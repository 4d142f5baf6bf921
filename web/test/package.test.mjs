import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ATTRIBUTES, clean, cleanText, Policy, Screener, UserError } from "../src/index.js";
import { readColumns, screenTable } from "../src/table.js";

const FOLDER = new URL("../../src/giantkiller/default/", import.meta.url);
const file = (name) => readFileSync(new URL(name, FOLDER));
const files = () => ({ manifest: file("bundle.json"), model: file("model.onnx"), tokenizer: file("tokenizer.json") });
const bytes = (value) => Buffer.from(JSON.stringify(value));
const edited = (change) => {
  const manifest = JSON.parse(file("bundle.json"));
  change(manifest);
  return { ...files(), manifest: bytes(manifest) };
};
const refused = (promise, message) =>
  assert.rejects(promise, (error) => error instanceof UserError && message.test(error.message));

const screener = await Screener.load(files());

test("one text and several", async () => {
  const one = await screener.predict("You are an idiot");
  assert.deepEqual(Object.keys(one), ATTRIBUTES);
  assert.ok(one.insult > 0.5);
  const several = await screener.predict(["You are an idiot", "Thanks a lot"]);
  assert.equal(several.insult[0], one.insult);
  assert.ok(several.insult[1] < 0.5);
  assert.deepEqual(await screener.scores([]), []);
});

test("a text's scores depend on it alone", async () => {
  const texts = ["You are an idiot", "", "a ".repeat(400), "😀", "thanks", "You are an idiot"];
  const together = await screener.logits(texts);
  for (const [i, text] of texts.entries()) assert.deepEqual((await screener.logits([text]))[0], together[i]);
});

test("calls at the same time", async () => {
  const texts = Array.from({ length: 20 }, (_, i) => `comment ${i} you fool`);
  const apart = await Promise.all(texts.map((text) => screener.predict(text)));
  assert.deepEqual(apart.map((a) => a.insult), (await screener.predict(texts)).insult);
});

test("a verdict by another policy, by name or thresholds", async () => {
  const thresholds = { insult: { remove: 0.1 } };
  assert.equal((await screener.judge("You are an idiot", { policy: thresholds })).action, "remove");
  assert.equal((await screener.judge("You are an idiot", { policy: {} })).action, "allow");
  await refused(screener.judge("a", { policy: "nosuch" }), /no policy 'nosuch'; it may be .*default/);
  const named = await Screener.load(edited((m) => (m.policies = { strict: thresholds })), { policy: "strict" });
  assert.deepEqual(named.policy.toJSON(), thresholds);
});

test("what a policy refuses", () => {
  const bad = [
    [[], /needs thresholds/],
    [{ rudeness: {} }, /'rudeness' is none of/],
    [{ insult: 0.5 }, /insult needs thresholds/],
    [{ insult: { delete: 0.5 } }, /'delete' of insult/],
    [{ insult: { review: 1.5 } }, /review of insult is 1.5/],
    [{ insult: { review: 0.5, remove: 0.4 } }, /must not fall/],
  ];
  for (const [thresholds, message] of bad) {
    assert.throws(() => new Policy(thresholds), (error) => error instanceof UserError && message.test(error.message));
  }
});

test("a score that is no number is not judged", () => {
  assert.throws(() => new Policy({}).judge([NaN, 0, 0, 0, 0, 0, 0]), /needs a score for toxicity, got NaN/);
});

test("explanations point into the original, astral characters and all", async () => {
  const text = "🙂🙂 you 1d\u200b10t 🙂, s t u p i d!";
  const spans = await screener.explain(text, "insult");
  const words = spans.filter((s) => s.contribution > 0.001).map((s) => text.slice(s.begin, s.end));
  assert.ok(words.includes("1d\u200b10t"), words.join("|"));
  await refused(screener.explain(text, "rudeness"), /none of the attributes/);
  const { text: cleaned, originalSpan } = clean("𝓲𝓭𝓲𝓸𝓽 a");
  assert.equal(cleaned, "idiot a");
  assert.deepEqual(originalSpan(0, 5), [0, 10]);
});

test("a hundred megabytes are cut before anything is done with them", async () => {
  const text = "you idiot ".repeat(10_000_000);
  assert.ok(cleanText(text).length <= 10_000);
  assert.equal((await screener.judge(text)).scores.insult > 0.5, true);
  assert.equal(cleanText("𠀀".repeat(20_000)).length, 20_000);
});

test("a call can be stopped", async () => {
  const controller = new AbortController();
  const texts = Array.from({ length: 500 }, (_, i) => `${i} ${"word ".repeat(200)}`);
  const scoring = screener.scores(texts, { signal: controller.signal });
  controller.abort();
  await assert.rejects(scoring, { name: "AbortError" });
  assert.equal((await screener.scores(["and goes on"])).length, 1);
});

test("texts that are none", async () => {
  await refused(screener.scores("one text"), /in brackets/);
  await refused(screener.scores(["a", null]), /text 2 is of type null/);
});

test("a tampered bundle", async () => {
  const model = Buffer.from(file("model.onnx"));
  model[1000] ^= 1;
  await refused(Screener.load({ ...files(), model }), /model.onnx is damaged or was changed/);
  await refused(Screener.load({ ...files(), model: model.subarray(1) }), /model.onnx is damaged: it has/);
  await refused(Screener.load({ ...files(), tokenizer: bytes({}) }), /tokenizer.json is damaged/);
  await refused(Screener.load({ ...files(), tokenizer: undefined }), /bytes of tokenizer.json are missing/);
  await refused(Screener.load({ ...files(), manifest: Buffer.from("{") }), /not valid JSON/);
  const digest = createHash("sha256").update(file("bundle.json")).digest("hex");
  assert.equal((await Screener.load(files(), { digest: digest.toUpperCase() })).bundle.digest, digest);
  await refused(Screener.load(edited((m) => (m.name = "other")), { digest }), /is another one than the page expects/);
});

test("a manifest that makes no sense", async () => {
  const bad = [
    [(m) => (m.format = 3), /format 3, newer/],
    [(m) => (m.format = "1"), /its format is 1/],
    [(m) => m.attributes.reverse(), /its attributes are not/],
    [(m) => (m.max_length = true), /max_length is true/],
    [(m) => delete m.name, /name is missing/],
    [(m) => (m.policies = []), /policies is no object/],
    [(m) => (m.policies = { a: { insult: { review: 2 } } }), /review of insult is 2/],
    [(m) => (m.files["model.onnx"].sha256 = "x"), /record of model.onnx/],
    [(m) => (m.calibration.insult.slope = 0), /calibration of insult/],
    [(m) => (m.calibration.insult.curve = [[0, 0], [0.5, 0.5]]), /curve of insult/],
    [(m) => delete m.threshold.insult, /threshold of insult/],
  ];
  for (const [change, message] of bad) await refused(Screener.load(edited(change)), message);
});

test("a tokenizer that the browser doesn't read", async () => {
  const other = (change) => {
    const parsed = JSON.parse(file("tokenizer.json"));
    change(parsed);
    const tokenizer = bytes(parsed);
    const sha256 = createHash("sha256").update(tokenizer).digest("hex");
    return { ...edited((m) => (m.files["tokenizer.json"] = { sha256, bytes: tokenizer.length })), tokenizer };
  };
  await refused(Screener.load(other((t) => (t.model.type = "BPE"))), /is not BERT's/);
  await refused(Screener.load(other((t) => (t.added_tokens[0].special = false))), /has added words/);
  await refused(Screener.load(other((t) => delete t.model.vocab["[UNK]"])), /lacks a token for the unknown/);
});

test("a browser without SIMD", async (t) => {
  t.mock.method(WebAssembly, "validate", () => false);
  await refused(Screener.load(files()), /lacks WebAssembly SIMD/);
});

test("no bundle at the address", async (t) => {
  t.mock.method(globalThis, "fetch", async () => new Response("", { status: 404 }));
  await refused(Screener.load("https://example.org/bundle"), /can't fetch .*bundle\/bundle.json: the server says 404/);
  t.mock.method(globalThis, "fetch", async () => new Response("x".repeat(5 << 20)));
  await refused(Screener.load("https://example.org/bundle"), /is larger than/);
});

// Files.

const table = (content, name = "comments.csv") => new File([content], name);
const screened = async (content, options, name) => {
  const found = await screenTable(screener, table(content, name), options);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return { ...found, text: decoder.decode(await found.blob.arrayBuffer()) };
};

test("a file keeps its rows, delimiter, line ends and byte order mark", async () => {
  const { text, rows, actions, errors } = await screened('\ufeffid;Comment Text\r\n1;"a;""b"""\r\n\r\n2;You idiot\r\n');
  const lines = text.split("\r\n");
  assert.equal(lines[0], "\ufeffid;Comment Text;" + ATTRIBUTES.join(";") + ";action;attribute;error");
  assert.match(lines[1], /^1;"a;""b""";0\.\d{6};(0\.\d{6};){6}allow;;$/);
  assert.match(lines[2], /^2;You idiot;0\.\d{6};.*;(review|remove);\w+;$/);
  assert.deepEqual([lines.length, rows, errors, actions.allow], [4, 2, 0, 1]);
});

test("rows that can't be screened say why", async () => {
  const broken = Buffer.concat([
    Buffer.from('text,x\n,1\n"a"b,2\nonly one\n'),
    Buffer.from([0x68, 0xff, 0x2c, 0x33, 0x0a]),
    Buffer.from('"two\nlines",4'),
  ]);
  const { text, rows, errors } = await screened(broken);
  assert.deepEqual([rows, errors], [5, 4]);
  const lines = text.trimEnd().split("\n");
  assert.match(lines[1], /,no text$/);
  assert.match(lines[2], /^"""a""b,2",,.*,broken quoting$/);
  assert.match(lines[3], /^only one,,.*,1 fields where the header has 2$/);
  assert.match(lines[4], /,not UTF-8$/);
  assert.match(lines[6], /^lines",4,0\.\d{6}/);
});

test("files that are no tables", async () => {
  await refused(screened(""), /is empty/);
  await refused(screened("\n\n"), /has no header/);
  await refused(screened("a,b\n1,2\n"), /none of its columns is called text or/);
  await refused(screened("text\n1\n", { textColumn: "b" }), /has no column 'b'/);
  await refused(screened("text,text\n1,2\n"), /has two columns called 'text'/);
  await refused(screened("text,action\n1,2\n"), /already has a column 'action'/);
  await refused(screened('text\n"a\nb\n'), /a quote is opened in the row of line 2 and never closed/);
  await refused(screened("text\ra\rb\r"), /old Macs/);
  await refused(screened(Buffer.from("text\na\n", "utf16le")), /is UTF-16/);
  await refused(screened(Buffer.from("PK\x03\x04")), /zip archive or an Excel workbook/);
  await refused(screened("text\n" + "a".repeat(17 << 20)), /line 2 is longer than 16 MB/);
});

test("the column is found or asked for", async () => {
  assert.deepEqual(await readColumns(table("a,b\n")), { names: ["a", "b"], textColumn: null });
  assert.deepEqual(await readColumns(table("body\tcontent\n")), { names: ["body", "content"], textColumn: "body" });
  assert.equal((await screened("a\tb\nx\tyou idiot\n", { textColumn: "b" }, "c.tsv")).rows, 1);
});

test("progress and stopping", async () => {
  const content = "text\n" + Array.from({ length: 2000 }, (_, i) => `comment ${i}`).join("\n");
  const seen = [];
  assert.equal((await screened(content, { progress: (fraction) => seen.push(fraction) })).rows, 2000);
  assert.equal(seen.length, 8);
  assert.equal(seen.at(-1), 1);
  const controller = new AbortController();
  const stopped = screened(content, { signal: controller.signal, progress: () => controller.abort() });
  await assert.rejects(stopped, { name: "AbortError" });
});
