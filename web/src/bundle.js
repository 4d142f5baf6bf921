// The bundle: fetched or handed over, and verified whenever it is read; as in bundle.py.
import { isCurve } from "./calibration.js";
import { UserError } from "./errors.js";
import { Policy } from "./policy.js";
import { ATTRIBUTES } from "./tables.js";

const FORMATS = [1, 2]; // 2: a calibration may have a curve
const MANIFEST = "bundle.json";
const MODEL = "model.onnx";
const TOKENIZER = "tokenizer.json";
const MANIFEST_LIMIT = 4 << 20;

/**
 * Read a bundle and verify its manifest and the size and SHA-256 of the files that scoring needs.
 *
 * `source` is the URL of a bundle's folder, or {manifest, model, tokenizer}, the bytes of its three files.
 * `digest`, if given, is the SHA-256 (hex) that the manifest itself must have.
 */
export async function readBundle(source, { digest } = {}) {
  const get = isFolder(source) ? fetcher(source) : handedOver(source);
  const raw = await get(MANIFEST, MANIFEST_LIMIT);
  const found = await sha256(raw);
  if (digest !== undefined && digest.toLowerCase() !== found) {
    throw new UserError(`${MANIFEST} is another one than the page expects: its SHA-256 is ${found}`);
  }
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch {
    throw new UserError(`${MANIFEST} is damaged: not valid JSON`);
  }
  const bundle = { ...parse(manifest), digest: found };
  const [model, tokenizer] = await Promise.all(
    [MODEL, TOKENIZER].map(async (name) => {
      const record = manifest.files[name];
      const bytes = await get(name, record.bytes);
      await verify(name, bytes, record);
      return bytes;
    }),
  );
  return { bundle, model, tokenizer: JSON.parse(new TextDecoder().decode(tokenizer)) };
}

function isFolder(source) {
  return typeof source === "string" || source instanceof URL;
}

function handedOver({ manifest, model, tokenizer }) {
  const files = { [MANIFEST]: manifest, [MODEL]: model, [TOKENIZER]: tokenizer };
  return async (name) => {
    const data = files[name];
    if (!(data instanceof ArrayBuffer) && !ArrayBuffer.isView(data)) {
      throw new UserError(`the bundle is incomplete: the bytes of ${name} are missing`);
    }
    return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  };
}

function fetcher(source) {
  const base = new URL(source, globalThis.location?.href);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return async (name, limit) => {
    const url = new URL(name, base);
    let response;
    try {
      response = await fetch(url);
    } catch (error) {
      throw new UserError(`can't fetch ${url}: ${error.message}`);
    }
    if (!response.ok) throw new UserError(`can't fetch ${url}: the server says ${response.status}`);
    return readAtMost(response, url, limit);
  };
}

/** Read a response's body, but no more than it may have. */
async function readAtMost(response, url, limit) {
  const parts = [];
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      reader.cancel().catch(() => {});
      throw new UserError(`${url} is damaged: it is larger than ${limit} bytes`);
    }
    parts.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function verify(name, bytes, record) {
  if (bytes.length !== record.bytes) {
    throw new UserError(
      `${name} is damaged: it has ${bytes.length} bytes and should have ${record.bytes}; get the bundle again`,
    );
  }
  if ((await sha256(bytes)) !== record.sha256) {
    throw new UserError(`${name} is damaged or was changed: its SHA-256 is wrong; get the bundle again`);
  }
}

async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) {
    throw new UserError("the bundle can't be verified, because the page is served without HTTPS");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Check a manifest's schema; every complaint names the entry. */
function parse(manifest) {
  const wrong = (what) => new UserError(`${MANIFEST} is damaged: ${what}`);
  if (!isObject(manifest)) throw wrong("it is not a JSON object");
  if (!FORMATS.includes(manifest.format)) {
    if (manifest.format > FORMATS.at(-1)) {
      throw new UserError(`${MANIFEST} has format ${manifest.format}, newer than this giantkiller reads; update it`);
    }
    throw wrong(`its format is ${manifest.format}, not ${FORMATS.join(" or ")}`);
  }
  if (JSON.stringify(manifest.attributes) !== JSON.stringify(ATTRIBUTES)) {
    throw wrong(`its attributes are not ${ATTRIBUTES.join(", ")}, in that order`);
  }
  const length = manifest.max_length;
  if (!Number.isInteger(length) || length < 8 || length > 8192) {
    throw wrong(`max_length is ${length}, not a number of tokens from 8 to 8192`);
  }
  for (const key of ["name", "version"]) {
    if (typeof manifest[key] !== "string") throw wrong(`${key} is missing or no text`);
  }
  for (const key of ["files", "calibration", "policy", "threshold"]) {
    if (!isObject(manifest[key])) throw wrong(`${key} is missing or no object`);
  }
  if (!isObject(manifest.policies ?? {})) throw wrong("policies is no object");
  for (const name of [MODEL, TOKENIZER]) {
    const record = manifest.files[name];
    if (!/^[0-9a-f]{64}$/.test(record?.sha256) || !Number.isInteger(record.bytes) || record.bytes < 0) {
      throw wrong(`the record of ${name} needs a sha256 and a size in bytes`);
    }
  }
  for (const attribute of ATTRIBUTES) {
    const { slope, intercept, curve = [] } = manifest.calibration[attribute] ?? {};
    if (!(Number.isFinite(slope) && Number.isFinite(intercept) && slope > 0)) {
      throw wrong(`calibration of ${attribute} needs a positive slope and an intercept`);
    }
    if (!isCurve(curve)) throw wrong(`the curve of ${attribute} does not rise from 0, 0 to 1, 1`);
    const cut = manifest.threshold[attribute];
    if (!(Number.isFinite(cut) && cut >= 0 && cut <= 1)) {
      throw wrong(`threshold of ${attribute} is ${cut}, not a number from 0 to 1`);
    }
  }
  const policy = (thresholds) => {
    try {
      return new Policy(thresholds);
    } catch (error) {
      throw wrong(error.message);
    }
  };
  return {
    name: manifest.name,
    version: manifest.version,
    maxLength: length,
    calibration: manifest.calibration,
    threshold: manifest.threshold,
    policies: {
      ...Object.fromEntries(Object.entries(manifest.policies ?? {}).map(([name, t]) => [name, policy(t)])),
      default: policy(manifest.policy),
    },
  };
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
