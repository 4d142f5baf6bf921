// A screener that works in a worker, so that the page never waits for it.
import { UserError } from "./errors.js";

/** What `Screener` offers, computed in a worker; all methods return promises and take a `signal`. */
export class WorkerScreener {
  #worker;
  #waiting = new Map();
  #count = 0;
  #broken = null;

  /**
   * Load a bundle in a worker of its own.
   *
   * `source` and `options` as for `Screener.load`; `options.worker`, a Worker or the URL of worker.js.
   */
  static async load(source, { worker, ...options } = {}) {
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    if (typeof source === "string" || source instanceof URL) source = new URL(source, base).href;
    if (typeof options.wasm === "string" || options.wasm instanceof URL) {
      options.wasm = new URL(options.wasm, base).href;
    }
    if (!worker) worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    else if (!(worker instanceof Worker)) worker = new Worker(worker, { type: "module" });
    const screener = new WorkerScreener(worker);
    try {
      screener.bundle = await screener.#ask("load", [source, options]);
    } catch (error) {
      screener.close();
      throw error;
    }
    return screener;
  }

  /** Not for callers: use `WorkerScreener.load`. */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new UserError(`the worker failed: ${event.message || "it can't be loaded"}`));
    };
  }

  scores(texts, options) {
    return this.#ask("scores", [texts], options);
  }

  predict(texts, options) {
    return this.#ask("predict", [texts], options);
  }

  judge(texts, options) {
    return this.#ask("judge", [texts], options);
  }

  explain(text, attribute = "toxicity", options) {
    return this.#ask("explain", [text, attribute], options);
  }

  /** Read the header of a CSV or TSV file: {names, textColumn}, the latter null if no name is usual. */
  columns(file, options) {
    return this.#ask("columns", [file], options);
  }

  /**
   * Screen a CSV or TSV file; see `screenTable`. `options.progress` is called with a fraction of it.
   *
   * Returns {blob, rows, errors, actions}.
   */
  screen(file, options) {
    return this.#ask("screen", [file], options);
  }

  /** End the worker and free its memory; whoever still waits gets an error. */
  close() {
    this.#worker.terminate();
    this.#fail(new UserError("the screener was closed"));
  }

  #ask(method, parameters, { signal, progress, ...options } = {}) {
    if (this.#broken) return Promise.reject(this.#broken);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#count;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, progress }));
    const stop = () => {
      this.#worker.postMessage({ id, method: "abort" });
      this.#waiting.get(id)?.reject(signal.reason);
      this.#waiting.delete(id);
    };
    signal?.addEventListener("abort", stop, { once: true });
    this.#worker.postMessage({ id, method, parameters, options });
    return answer.finally(() => signal?.removeEventListener("abort", stop));
  }

  #receive({ id, result, error, progress }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (progress !== undefined) {
      waiting.progress?.(progress);
      return;
    }
    this.#waiting.delete(id);
    if (error !== undefined) waiting.reject(new UserError(error));
    else waiting.resolve(result);
  }

  #fail(error) {
    this.#broken = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
