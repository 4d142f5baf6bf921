// <giantkiller-nudge for="comment" bundle="/bundle/">: tell a writer before sending what a moderator would see.
import { WorkerScreener } from "./client.js";
import { ACTIONS, MAX_CHARS } from "./tables.js";

const DELAY = 300; // milliseconds without a keystroke
const PATIENCE = 50; // milliseconds that a message waits for the words that carried the verdict
const WORDS = 3; // named at most
const TELLING = 0.05; // what a word must add to the score to be named

const NAMES = {
  toxicity: "rude or disrespectful",
  severe_toxicity: "very hateful or aggressive",
  obscene: "obscene",
  threat: "a threat",
  insult: "an insult",
  identity_attack: "an attack on a group",
  sexual_explicit: "sexually explicit",
};

const loaded = new Map();

/** Load each bundle once a page. */
function screenerFor(bundle, options) {
  const key = JSON.stringify([bundle, options]);
  if (!loaded.has(key)) loaded.set(key, WorkerScreener.load(bundle, options));
  return loaded.get(key);
}

/**
 * Attributes: `for`, the id of the text field; `bundle`, the URL of the bundle's folder; `policy`, one of its
 * policies; `from`, the mildest action that is told (default: review); `delay` in milliseconds; `digest`,
 * the SHA-256 of the bundle's manifest; `wasm`, where onnxruntime's .wasm is; `worker`, where worker.js is.
 *
 * Property `message`: a function of (verdict, words) that returns the text to show, or "" for none.
 * Events: `giantkiller-verdict` with {verdict, words}; `giantkiller-unavailable` with {error}.
 */
export class GiantkillerNudge extends HTMLElement {
  #status;
  #root;
  #timer;
  #running;
  #unavailable = false;

  /** The text that is shown for a verdict and the words that carried it. */
  message = defaultMessage;

  connectedCallback() {
    if (!this.#status) {
      const shadow = this.attachShadow({ mode: "open" });
      this.#status = document.createElement("p");
      this.#status.setAttribute("role", "status");
      this.#status.setAttribute("aria-live", "polite");
      this.#status.setAttribute("part", "message");
      shadow.append(this.#status);
      const style = new CSSStyleSheet(); // needs no exception in a content security policy
      style.replaceSync("p { margin: 0 } p:not(:empty) { padding: 0.25em 0 }");
      shadow.adoptedStyleSheets = [style];
    }
    // On the root, so that the field may come later than this element, or be replaced.
    this.#root = this.getRootNode();
    for (const type of ["focusin", "input"]) this.#root.addEventListener(type, this);
  }

  disconnectedCallback() {
    for (const type of ["focusin", "input"]) this.#root.removeEventListener(type, this);
    this.#stop();
  }

  handleEvent(event) {
    const field = event.target;
    if (!field || field.id !== this.getAttribute("for") || this.#unavailable) return;
    if (event.type === "focusin") {
      this.#load().catch((error) => this.#giveUp(error));
      return;
    }
    this.#stop();
    // More than is read is not even copied.
    const text = String(field.value ?? field.textContent).slice(0, 2 * MAX_CHARS);
    if (!text.trim()) {
      this.#show("");
      return;
    }
    const delay = Number(this.getAttribute("delay") ?? DELAY);
    this.#timer = setTimeout(() => this.#judge(text), Number.isFinite(delay) ? delay : DELAY);
  }

  #load() {
    const options = {};
    for (const name of ["policy", "digest", "wasm", "worker"]) {
      if (this.hasAttribute(name)) options[name] = this.getAttribute(name);
    }
    return screenerFor(this.getAttribute("bundle") ?? "bundle/", options);
  }

  async #judge(text) {
    this.#running = new AbortController();
    const { signal } = this.#running;
    try {
      const screener = await this.#load();
      if (signal.aborted) return;
      const verdict = await screener.judge(text, { signal });
      const told = ACTIONS.indexOf(verdict.action) >= (ACTIONS.indexOf(this.getAttribute("from") ?? "review") || 1);
      const words = told ? await this.#explained(screener, text, verdict, signal) : [];
      if (signal.aborted) return;
      this.#show(told ? this.message(verdict, words) : "");
      this.#tell("verdict", { verdict, words });
    } catch (error) {
      if (!signal.aborted) this.#giveUp(error);
    }
  }

  /** Return the words; where they take their time, as in a long comment, tell the verdict without them first. */
  async #explained(screener, text, verdict, signal) {
    const words = this.#words(screener, text, verdict, signal);
    const soon = await Promise.race([words, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    if (!soon && !signal.aborted) this.#show(this.message(verdict, []));
    return soon ?? words;
  }

  async #words(screener, text, verdict, signal) {
    const spans = await screener.explain(text, verdict.attribute, { signal });
    return spans
      .filter((span) => span.contribution >= TELLING)
      .sort((a, b) => b.contribution - a.contribution)
      .slice(0, WORDS)
      .map((span) => text.slice(span.begin, span.end));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
  }

  #show(text) {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  #giveUp(error) {
    this.#unavailable = true;
    this.#stop();
    this.#show("");
    this.#tell("unavailable", { error });
  }

  #tell(what, detail) {
    this.dispatchEvent(new CustomEvent(`giantkiller-${what}`, { detail, bubbles: true, composed: true }));
  }
}

function defaultMessage(verdict, words) {
  const named = words.map((word) => `“${word}”`).join(", ");
  const because = named && ` because of ${named}`;
  return `A moderator may see this as ${NAMES[verdict.attribute]}${because}. You can still change it.`;
}

if (!customElements.get("giantkiller-nudge")) customElements.define("giantkiller-nudge", GiantkillerNudge);
