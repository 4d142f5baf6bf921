// From comments to token ids; as in encoding.py. BERT's tokenizer treats words one by one, so their ids are
// remembered. What it does before WordPiece is done here, character by character as the Rust package does:
// the JavaScript package follows the browser's newer Unicode there.
import { WordPiece } from "@huggingface/tokenizers";
import { cleanText } from "./cleaning.js";
import { UserError } from "./errors.js";
import { BERT } from "./tables.js";

const REMEMBERED = 65_536; // chunks
const LONGEST = 40; // units of what is remembered

const ASCII = /^[\0-\x7f]*$/;
const REMOVED = new RegExp(`[${BERT.removed}]`, "gu");
const BLANK = new RegExp(`[${BERT.blank}]`, "gu");
const IDEOGRAPH = new RegExp(`[${BERT.ideograph}]`, "gu");
const MARK = new RegExp(`[${BERT.mark}]`, "gu");
const TOKEN = new RegExp(`[^${BERT.blank}${BERT.punctuation}]+|[${BERT.punctuation}]`, "gu");

/** Text to ids. `tokenizer` is a parsed tokenizer.json, `maxLength` counts special tokens, too. */
export class Encoder {
  #normalizer;
  #model;
  #before;
  #after;
  #memory = new Map();

  constructor(tokenizer, maxLength) {
    try {
      check(tokenizer);
      this.#normalizer = tokenizer.normalizer;
      this.#model = new WordPiece(tokenizer.model);
      [this.#before, this.#after] = frame(tokenizer);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw new UserError(`tokenizer.json is damaged: ${error.message}`);
    }
    this.size = Math.max(...Object.values(tokenizer.model.vocab)) + 1;
    this.room = maxLength - this.#before.length - this.#after.length;
    if (this.room <= 0) throw new UserError(`the special tokens leave no room within ${maxLength} tokens`);
  }

  /** Clean texts and return a row of ids for each, special tokens included. */
  encode(texts) {
    return texts.map((text) => this.#row(cleanText(text)));
  }

  /** Return what `encode` returns, for texts that are clean. */
  encodeCleaned(texts) {
    return texts.map((text) => this.#row(text));
  }

  /** Return the ids of a cleaned text, uncut and without special tokens. */
  ids(text) {
    const all = [];
    for (const chunk of text.split(" ")) {
      let ids = this.#memory.get(chunk);
      if (ids === undefined) {
        ids = this.#chunkIds(chunk);
        if (chunk.length <= LONGEST) {
          if (this.#memory.size >= REMEMBERED) this.#memory.clear();
          this.#memory.set(chunk, ids);
        }
      }
      for (const id of ids) all.push(id);
    }
    return all;
  }

  #row(text) {
    return Int32Array.from([...this.#before, ...this.ids(text).slice(0, this.room), ...this.#after]);
  }

  #chunkIds(chunk) {
    const tokens = this.#model.encode(this.#normalise(chunk).match(TOKEN) ?? []);
    return tokens.map((token) => this.#model.tokens_to_ids.get(token));
  }

  #normalise(text) {
    const { clean_text, handle_chinese_chars, strip_accents, lowercase } = this.#normalizer;
    if (clean_text) text = text.replace(REMOVED, "").replace(BLANK, " ");
    if (ASCII.test(text)) return lowercase ? text.toLowerCase() : text;
    if (handle_chinese_chars) text = text.replace(IDEOGRAPH, " $& ");
    if (strip_accents ?? lowercase) text = text.normalize("NFD").replace(MARK, "");
    // One by one: a sigma at a word's end is like any other.
    return lowercase ? Array.from(text, (c) => c.toLowerCase()).join("") : text;
  }
}

function check(tokenizer) {
  const kinds = [tokenizer.normalizer?.type, tokenizer.pre_tokenizer?.type, tokenizer.model?.type];
  if (kinds.join() !== "BertNormalizer,BertPreTokenizer,WordPiece") {
    throw new UserError("tokenizer.json is not BERT's, which is all that the browser reads");
  }
  if ((tokenizer.added_tokens ?? []).some((token) => !token.special)) {
    throw new UserError("tokenizer.json has added words, which the browser does not read");
  }
  const { vocab, unk_token: unknown } = tokenizer.model;
  if (!Number.isInteger(vocab?.[unknown])) {
    throw new UserError("tokenizer.json can't encode every text: it lacks a token for the unknown");
  }
}

/** Return the ids before and after a text. */
function frame(tokenizer) {
  const post = tokenizer.post_processor;
  if (post === null) return [[], []];
  if (post.type === "BertProcessing") return [[post.cls[1]], [post.sep[1]]];
  if (post.type !== "TemplateProcessing") throw new UserError(`tokenizer.json frames texts by ${post.type}`);
  const parts = [[], []];
  let side = 0;
  for (const item of post.single) {
    if (item.Sequence) side = 1;
    else parts[side].push(...post.special_tokens[item.SpecialToken.id].ids);
  }
  return parts;
}
