// The worker behind WorkerScreener: one message a call, one or more in return.
import { UserError } from "./errors.js";
import { Screener } from "./screener.js";
import { readColumns, screenTable } from "./table.js";

let screener;
const running = new Map();

const methods = {
  async load([source, { packed, ...options }]) {
    if (packed) {
      const [manifest, model, tokenizer, wasm] = await Promise.all(
        [source.manifest, source.model, source.tokenizer, source.wasm].map(unpack),
      );
      source = { manifest, model, tokenizer };
      options.wasm = wasm;
    }
    screener = await Screener.load(source, options);
    const { name, version, digest, policies, threshold } = screener.bundle;
    const plain = Object.fromEntries(Object.entries(policies).map(([key, policy]) => [key, policy.toJSON()]));
    return { name, version, digest, threshold, policies: plain, policy: screener.policy.toJSON() };
  },
  scores: ([texts], options) => screener.scores(texts, options),
  predict: ([texts], options) => screener.predict(texts, options),
  judge: ([texts], options) => screener.judge(texts, options),
  explain: ([text, attribute], options) => screener.explain(text, attribute, options),
  columns: ([file]) => readColumns(file),
  screen: ([file], options) => screenTable(screener, file, options),
};

async function answer({ data: { id, method, parameters, options } }) {
  if (method === "abort") {
    running.get(id)?.abort();
    return;
  }
  const controller = new AbortController();
  running.set(id, controller);
  const progress = (fraction) => postMessage({ id, progress: fraction });
  try {
    const result = await methods[method](parameters, { ...options, signal: controller.signal, progress });
    postMessage({ id, result });
  } catch (error) {
    const known = error instanceof UserError || error.name === "AbortError";
    postMessage({ id, error: known ? error.message : `unexpected: ${error}` });
  } finally {
    running.delete(id);
  }
}

/** Turn base64 of gzip into bytes. */
async function unpack(base64) {
  try {
    const binary = atob(base64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  } catch {
    if (typeof DecompressionStream === "undefined") {
      throw new UserError("this browser can't unpack gzip; use one from 2023 or later");
    }
    throw new UserError("the page is damaged: a part of it can't be unpacked; get it again");
  }
}

// onnxruntime starts its threads from the same script; those have nothing to do here.
if (self.name !== "em-pthread") self.onmessage = answer;
