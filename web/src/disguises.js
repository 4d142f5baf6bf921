// Undo disguises of words; as in cleaning/disguises.py. Each function takes a text and yields edits:
// [begin, end, replacement] in UTF-16 units, in order, not overlapping.
import { common, disguised, split, words } from "./lexicon.js";
import { pattern, whole } from "./patterns.js";
import { CURRENCY, LATIN, LOOK_ALIKES, MASKS, READINGS } from "./tables.js";

const WORD = pattern("disguises._WORD", "gu");
const SPACED = pattern("disguises._SPACED", "gu");
const LEET_TOKEN = pattern("disguises._LEET_TOKEN", "gu");
const MASKED_TOKEN = pattern("disguises._MASKED_TOKEN", "gu");
const DRAWN_WORD = pattern("disguises._DRAWN_WORD", "gu");
const RUN = pattern("disguises._RUN", "gu");
const SIGN_RUN = pattern("disguises._SIGN_RUN", "gu");
const ROMAN = whole("disguises._ROMAN");

const ASCII = /^[\0-\x7f]*$/;
const LATIN_LETTER = new RegExp(`[${LATIN}]`, "u");
const LETTER = /\p{L}/u;
const ALPHANUMERIC = /[\p{L}\p{N}]/u;
const MASK = new RegExp(MASKS, "gu");
const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

/** Turn look-alike letters into Latin ones, in words that mix them or are known when read so. */
export function* foldLookAlikes(text) {
  const latin = count(text, /[A-Za-z]/g);
  let foreign = 0;
  for (const c of text) foreign += !ASCII.test(c) && LETTER.test(c) && !LATIN_LETTER.test(c);
  for (const match of text.matchAll(WORD)) {
    const word = match[0];
    if (ASCII.test(word)) continue;
    const letters = [...word];
    const strange = letters.filter((c) => !Object.hasOwn(LOOK_ALIKES, c) && !ASCII.test(c));
    if (!strange.every((c) => LATIN_LETTER.test(c))) continue;
    const folded = letters.map((c) => LOOK_ALIKES[c] ?? c).join("");
    if (folded === word) continue;
    const lower = folded.toLowerCase();
    const known = words.has(lower) || lower === "a" || lower === "i";
    if (letters.some((c) => LATIN_LETTER.test(c)) || (known && latin > 2 * foreign)) {
      let at = match.index;
      for (const c of letters) {
        if (Object.hasOwn(LOOK_ALIKES, c)) yield [at, at + c.length, LOOK_ALIKES[c]];
        at += c.length;
      }
    }
  }
}

/** Join letters standing alone in a row: into known words at blanks, into one word at dots and dashes. */
export function* joinSpaced(text) {
  for (const match of text.matchAll(SPACED)) {
    let run = match[0];
    const gap = match[1];
    while (run && "!|+".includes(run.at(-1))) run = trimEnd(run.slice(0, -1)); // no letter, but punctuation
    const step = gap.length + 1;
    let signs = "";
    for (let i = 0; i < run.length; i += step) signs += run[i];
    const letters = count(signs, /[A-Za-z]/g);
    if (signs.length < 3 || 5 * letters < 3 * signs.length || (letters < signs.length && signs.length < 4)) {
      continue;
    }
    const blank = trimEnd(gap) === "";
    for (let begin = 0; begin < signs.length; begin += 400) {
      yield* join(signs.slice(begin, begin + 400), match.index + begin * step, step, blank);
    }
  }
}

function* join(signs, start, step, blank) {
  let pieces = null;
  for (const reading of readings(signs)) {
    if (disguised.has(reading) || (!blank && signs.length > 3 && words.has(reading))) {
      pieces = [reading];
      break;
    }
    if (blank && pieces === null) {
      pieces = split(reading);
      if (pieces && (pieces.length === signs.length || Math.max(...pieces.map((p) => p.length)) < 3)) {
        pieces = null;
      }
    }
  }
  if (pieces === null) return;
  const upper = isUpper(signs);
  let done = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) {
      const begin = start + (done + i) * step;
      if (signs[done + i].toLowerCase() !== piece[i]) {
        yield [begin, begin + 1, upper ? piece[i].toUpperCase() : piece[i]];
      }
      if (done + i + 1 < signs.length) yield [begin + 1, begin + step, i + 1 < piece.length ? "" : " "];
    }
    done += piece.length;
  }
}

/** Read digits and signs as letters where that makes a known word. */
export function* undoLeet(text) {
  const found = new Map();
  const doubtful = [];
  for (const match of text.matchAll(LEET_TOKEN)) {
    if (!standsAlone(text, match.index, match.index + match[0].length)) continue;
    const [begin, end] = core(match[0], match.index);
    const token = text.slice(begin, end);
    if (token.length < 2 || token.length > 40 || isAlpha(token) || !/[A-Za-z]/.test(token)) continue;
    const word = read(token);
    if (word !== undefined) found.set(begin, [end, word]);
    else doubtful.push([begin, end]);
  }
  if (found.size) {
    for (const [begin, end] of doubtful) {
      const short = readings(text.slice(begin, end)).find((w) => common.has(w));
      if (short !== undefined) found.set(begin, [end, short]);
    }
  }
  for (const begin of [...found.keys()].sort((a, b) => a - b)) {
    const [end, word] = found.get(begin);
    const upper = isUpper(text.slice(begin, end));
    for (let i = 0; i < word.length; i++) {
      const at = begin + i;
      if (!LETTER.test(text[at])) yield [at, at + 1, upper ? word[i].toUpperCase() : word[i]];
    }
  }
}

/** Tell whether a token is a word by itself, no part of an address, a path, a tag or a number. */
function standsAlone(text, begin, end) {
  if (begin && (ALPHANUMERIC.test(before(text, begin)) || "./:@_#&=\\~%".includes(text[begin - 1]))) {
    return false;
  }
  if (end === text.length) return true;
  const after = at(text, end);
  if (ALPHANUMERIC.test(after) || "/@_=\\&#%".includes(after)) return false;
  return !(".:".includes(after) && end + 1 < text.length && ALPHANUMERIC.test(at(text, end + 1)));
}

/** Cut the punctuation from a token's ends. */
function core(token, begin) {
  const left = token.length - token.replace(/^[!|+]+/, "").length;
  const right = token.replace(/[!|+£]+$/, "").length;
  return [begin + left, begin + Math.max(left, right)];
}

/** Spell signs as lower-case letters; at most four of them are tried two ways. */
function readings(signs) {
  let spelled = [""];
  let double = 0;
  for (const c of signs.toLowerCase()) {
    let letters = READINGS[c] ?? c;
    if (letters.length > 1 && ++double > 4) letters = letters[0];
    spelled = spelled.flatMap((head) => [...letters].map((letter) => head + letter));
  }
  return spelled;
}

/** Return the word that a token disguises, if that is beyond doubt. */
function read(token) {
  const spelled = readings(token);
  const abusive = least(spelled.filter((w) => disguised.has(w)), disguised);
  const digits = /^[0-9]*/.exec(token)[0].length;
  if (CURRENCY.includes(token[0]) && /[0-9]/.test(token[1])) return undefined;
  if (abusive !== undefined && token.length >= 3 && !(digits > 1 && isAlpha(token.slice(digits)))) {
    return abusive;
  }
  if (token.length < 4 || ("@" + CURRENCY).includes(token[0]) || isAlpha(token.slice(1, -1)) || digits > 1) {
    return undefined;
  }
  return spelled.find((w) => words.has(w));
}

/** Fill in masked letters: where an abusive word fits (f**k, sh*t), a lone star by any known word. */
export function* unmask(text) {
  for (const match of text.matchAll(MASKED_TOKEN)) {
    const masked = match[0].toLowerCase();
    if (!isAlpha(masked.at(-1)) && !(masked.endsWith("**") && masked.length < 5)) continue;
    const fits = new RegExp(`^${masked.replace(MASK, "[a-z]")}$`);
    const fitting = [...disguised.keys()].filter((w) => fits.test(w));
    const shown = count(masked, /[a-z]/g);
    let word;
    if (fitting.length && (fitting.length === 1 || 2 * shown >= masked.length || masked === "a**")) {
      word = fitting[0];
    } else if (shown > 2 && count(masked, /\*/g) === 1 && masked.length - shown === 1) {
      word = least([...ALPHABET].map((c) => masked.replace("*", c)).filter((w) => words.has(w)), words);
    }
    if (word === undefined) continue;
    if (isUpper(match[0])) word = word.toUpperCase();
    for (let i = 0; i < masked.length; i++) {
      if (!isAlpha(masked[i])) yield [match.index + i, match.index + i + 1, word[i]];
    }
  }
}

/** Shorten letters drawn out to a known word or to two, six signs to three. */
export function* shortenDrawn(text) {
  const edits = [];
  for (const match of text.matchAll(DRAWN_WORD)) {
    const word = match[0];
    const runs = [...word.matchAll(RUN)];
    if (ROMAN.test(word) || word.toLowerCase() === "www") continue;
    const allRun = runs.length === 1 && runs[0][0].length === word.length;
    const kept = allRun ? [3] : lengths(word, runs);
    for (let i = 0; i < Math.min(runs.length, kept.length); i++) {
      const begin = match.index + runs[i].index + kept[i];
      const end = match.index + runs[i].index + runs[i][0].length;
      if (begin < end) edits.push([begin, end, ""]);
    }
  }
  for (const match of text.matchAll(SIGN_RUN)) {
    edits.push([match.index + 3 * match[1].length, match.index + match[0].length, ""]);
  }
  yield* edits.sort((a, b) => a[0] - b[0]);
}

/** Choose how long each drawn-out run may stay: what makes a known word, else two. */
function lengths(word, runs) {
  const chosen = Math.min(runs.length, 4);
  for (let bits = 0; bits < 1 << chosen; bits++) {
    const kept = Array.from({ length: chosen }, (_, i) => ((bits >> (chosen - 1 - i)) & 1 ? 1 : 2));
    let shorter = "";
    let end = 0;
    runs.forEach((run, i) => {
      shorter += word.slice(end, run.index) + run[1].repeat(kept[i] ?? 2);
      end = run.index + run[0].length;
    });
    if (words.has((shorter + word.slice(end)).toLowerCase())) return kept;
  }
  return runs.map(() => 2);
}

function count(text, regex) {
  return text.match(regex)?.length ?? 0;
}

/** Return the key with the least value, the first of equals; undefined for none. */
function least(keys, values) {
  let best;
  for (const key of keys) if (best === undefined || values.get(key) < values.get(best)) best = key;
  return best;
}

function isAlpha(text) {
  return /^[A-Za-z]+$/.test(text);
}

function isUpper(text) {
  return /[A-Z]/.test(text) && !/[a-z]/.test(text);
}

function at(text, index) {
  return String.fromCodePoint(text.codePointAt(index));
}

/** Return the character that ends before an index. */
function before(text, index) {
  const unit = text.charCodeAt(index - 1);
  const pair = unit >= 0xdc00 && unit < 0xe000 && index > 1 && text.codePointAt(index - 2) > 0xffff;
  return at(text, index - (pair ? 2 : 1));
}

const BLANKS_AT_END = new RegExp(`(?:${pattern("cleaning._BLANKS").source})$`, "u");

function trimEnd(text) {
  return text.replace(BLANKS_AT_END, "");
}
