// Texts to scores: clean, tokenize, batch by length, run, calibrate; as in screener.py.
import * as ort from "onnxruntime-web/wasm";
import { readBundle } from "./bundle.js";
import { probability } from "./calibration.js";
import { Encoder } from "./encoding.js";
import { UserError } from "./errors.js";
import { explain } from "./explain.js";
import { Policy } from "./policy.js";
import { ATTRIBUTES } from "./tables.js";

const BATCH_TOKENS = 1024;
const WINDOW = 1024;

// The smallest module that has a SIMD instruction.
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** A loaded bundle that scores texts; the scores of a text depend on that text alone. */
export class Screener {
  #session;
  #encoder;
  #columns;
  #queue = Promise.resolve();

  /**
   * Load a bundle.
   *
   * `source`: the URL of a bundle's folder, or {manifest, model, tokenizer}, the bytes of its files.
   * `options.policy`: one of the bundle's policies by name, or thresholds by attribute and action.
   * `options.digest`: the SHA-256 (hex) that the manifest must have.
   * `options.wasm`: where onnxruntime's .wasm is (a URL), or its bytes; found by itself if left out.
   * `options.threads`: threads of onnxruntime; more than one needs a cross-origin isolated page.
   */
  static async load(source, { policy = "default", digest, wasm, threads = 1 } = {}) {
    if (typeof WebAssembly === "undefined" || !WebAssembly.validate(SIMD)) {
      throw new UserError("this browser lacks WebAssembly SIMD; use one from 2023 or later");
    }
    const { bundle, model, tokenizer } = await readBundle(source, { digest });
    const encoder = new Encoder(tokenizer, bundle.maxLength);
    ort.env.logLevel = "fatal"; // what goes wrong is said in the exception, too
    ort.env.wasm.numThreads = threads;
    if (wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm)) ort.env.wasm.wasmBinary = wasm;
    else if (wasm !== undefined) ort.env.wasm.wasmPaths = { wasm: String(wasm) };
    let session;
    try {
      session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    } catch (error) {
      throw new UserError(`model.onnx can't be run here: ${error.message}`);
    }
    const names = [...session.inputNames].sort().join() + ">" + session.outputNames.join();
    if (names !== "attention_mask,input_ids>logits") {
      throw new UserError("model.onnx has other inputs or outputs than a bundle's");
    }
    const screener = new Screener(bundle, encoder, session, choose(bundle, policy));
    // The longest row of the highest id: what the position table and the embeddings must reach.
    await screener.scoreIds([new Int32Array(bundle.maxLength).fill(encoder.size - 1)]);
    return screener;
  }

  /** Not for callers: use `Screener.load`. */
  constructor(bundle, encoder, session, policy) {
    this.bundle = bundle;
    this.policy = policy;
    this.#encoder = encoder;
    this.#session = session;
    this.#columns = ATTRIBUTES.map((attribute) => bundle.calibration[attribute]);
  }

  get encoder() {
    return this.#encoder;
  }

  /**
   * Score texts: for each a Float32Array of seven probabilities in the order of ATTRIBUTES.
   *
   * `options.signal`, an AbortSignal, stops between batches; with one, other events are served in between.
   */
  async scores(texts, options) {
    const logits = await this.logits(texts, options);
    return logits.map((row) => Float32Array.from(this.#probabilities(row)));
  }

  /** Return the model's raw outputs, for each text a Float32Array of seven. */
  async logits(texts, { signal } = {}) {
    const all = check(texts);
    const rows = [];
    for (let begin = 0; begin < all.length; begin += WINDOW) {
      const ids = this.#encoder.encode(all.slice(begin, begin + WINDOW));
      for (const row of await this.#runRows(ids, signal)) rows.push(row);
    }
    return rows;
  }

  /** Score one text or several: {toxicity: 0.97, ...}, or {toxicity: [0.97, ...], ...}. */
  async predict(texts, options) {
    const single = typeof texts === "string";
    const rows = await this.scores(single ? [texts] : texts, options);
    return Object.fromEntries(
      ATTRIBUTES.map((attribute, i) => [attribute, single ? rows[0][i] : rows.map((row) => row[i])]),
    );
  }

  /** Return the verdict of the policy on one text or several. */
  async judge(texts, { signal, policy } = {}) {
    const single = typeof texts === "string";
    const chosen = policy === undefined ? this.policy : choose(this.bundle, policy);
    const rows = await this.scores(single ? [texts] : texts, { signal });
    const verdicts = rows.map((row) => chosen.judge(row, this.bundle.threshold.toxicity));
    return single ? verdicts[0] : verdicts;
  }

  /** Return what each word adds to the score of one attribute: [{begin, end, contribution}, ...]. */
  explain(text, attribute = "toxicity", options) {
    return explain(this, text, attribute, options);
  }

  /** Score rows of token ids; returns float64 probabilities, which `scores` rounds to float32. */
  async scoreIds(rows, { signal } = {}) {
    return (await this.#runRows(rows, signal)).map((row) => this.#probabilities(row));
  }

  /** Free the model's memory. */
  async close() {
    await this.#queue;
    await this.#session.release();
  }

  #probabilities(logits) {
    return this.#columns.map((line, i) => probability(line, logits[i]));
  }

  /** Run rows of any lengths; equal rows run once. One caller after the other: the session has one memory. */
  #runRows(rows, signal) {
    const result = this.#queue.then(() => this.#runNow(rows, signal));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #runNow(rows, signal) {
    const index = new Map();
    const unique = [];
    const places = rows.map((row) => {
      const key = String.fromCharCode(...new Uint16Array(row.buffer, row.byteOffset, row.length * 2));
      if (!index.has(key)) {
        index.set(key, unique.length);
        unique.push(row);
      }
      return index.get(key);
    });
    const logits = new Array(unique.length);
    for (const batch of plan(unique)) {
      if (signal) {
        await new Promise((resolve) => setTimeout(resolve));
        signal.throwIfAborted();
      }
      const found = await this.#run(batch.map((i) => unique[i]));
      batch.forEach((i, row) => (logits[i] = found.slice(7 * row, 7 * row + 7)));
    }
    return places.map((place) => logits[place]);
  }

  /** Run rows of one length, none padded. */
  async #run(rows) {
    const shape = [rows.length, rows[0].length];
    const ids = new BigInt64Array(shape[0] * shape[1]);
    const low = new Int32Array(ids.buffer); // little-endian, as WebAssembly is
    rows.forEach((row, r) => row.forEach((id, i) => (low[2 * (r * shape[1] + i)] = id)));
    const feeds = {
      input_ids: new ort.Tensor("int64", ids, shape),
      attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), shape),
    };
    let logits;
    try {
      ({ logits } = await this.#session.run(feeds));
    } catch (error) {
      throw new UserError(`model.onnx can't run ${shape[1]} tokens of this tokenizer: ${error.message}`);
    }
    if (logits.dims.join() !== `${rows.length},7` || !logits.data.every(Number.isFinite)) {
      throw new UserError("the model gave a score that is no number; the bundle's model.onnx is broken");
    }
    return logits.data;
  }
}

/** Group rows into batches of one length each, longest first, under a budget of tokens. */
function plan(rows) {
  const groups = new Map();
  rows.forEach((row, i) => {
    if (!groups.has(row.length)) groups.set(row.length, []);
    groups.get(row.length).push(i);
  });
  const batches = [];
  for (const length of [...groups.keys()].sort((a, b) => b - a)) {
    const size = Math.max(1, Math.floor(BATCH_TOKENS / length));
    const group = groups.get(length);
    for (let i = 0; i < group.length; i += size) batches.push(group.slice(i, i + size));
  }
  return batches;
}

/** Return a policy by name, or the one that thresholds describe. */
function choose(bundle, policy) {
  if (policy instanceof Policy) return policy;
  if (typeof policy !== "string") return new Policy(policy);
  if (!Object.hasOwn(bundle.policies, policy)) {
    const names = Object.keys(bundle.policies).join(", ");
    throw new UserError(`${bundle.name} has no policy '${policy}'; it may be ${names}`);
  }
  return bundle.policies[policy];
}

function check(texts) {
  if (typeof texts === "string" || !texts?.[Symbol.iterator]) {
    throw new UserError("got no list where a list of texts belongs; put one text in brackets: [text]");
  }
  const all = [...texts];
  all.forEach((text, i) => {
    if (typeof text !== "string") {
      throw new UserError(`text ${i + 1} is of type ${text === null ? "null" : typeof text}, not a string`);
    }
  });
  return all;
}
