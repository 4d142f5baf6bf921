// What a comment goes through before the tokenizer; as in cleaning/__init__.py.
import { foldLookAlikes, joinSpaced, shortenDrawn, undoLeet, unmask } from "./disguises.js";
import { pattern } from "./patterns.js";
import { joinSplit, mendWords } from "./spelling.js";
import { ACUTE, ALONE, BADGES, MAX_CHARS } from "./tables.js";

const ASCII = /^[\0-\x7f]*$/;
const BLANKS = pattern("cleaning._BLANKS");
const alone = new Set(ALONE);

const needs = (name) => {
  const regex = pattern(name);
  return (text) => regex.test(text);
};
const remove = (name) => {
  const regex = pattern(name, "gu");
  return function* (text) {
    for (const match of text.matchAll(regex)) yield [match.index, match.index + match[0].length, ""];
  };
};

// [does the text need it?, its edits]
const FOR_UNICODE = [
  [needs("glyphs.INVISIBLE"), remove("glyphs.INVISIBLE")],
  [needs("glyphs.PILED_MARKS"), remove("glyphs.PILED_MARKS")],
  [isAbnormal, normalise],
  [needs("glyphs.INVISIBLE"), remove("glyphs.INVISIBLE")], // what normalisation has uncovered
  [needs("glyphs.FOREIGN"), foldLookAlikes],
];
const FOR_ASCII = FOR_UNICODE.slice(0, 1);
const FOR_DISGUISES = [
  [needs("disguises.MASKED"), unmask],
  [needs("cleaning.SPACED"), joinSpaced],
  [needs("disguises.LEET"), undoLeet],
  [needs("disguises.DRAWN"), shortenDrawn],
];
const DISGUISED = ["cleaning._DISGUISING", "cleaning._TRIPLE", "cleaning.SPACED"].map(needs);

const BADGE = pattern("glyphs.BADGE");
const CLUSTER = pattern("glyphs.CLUSTER", "gu");

function isAbnormal(text) {
  return text.normalize("NFKC") !== text || BADGE.test(text);
}

function* normalise(text) {
  for (const match of text.matchAll(CLUSTER)) {
    const composed = compose(match[0]);
    if (composed !== match[0]) yield [match.index, match.index + match[0].length, composed];
  }
}

function compose(cluster) {
  if (cluster === ACUTE) return "'";
  if (alone.has(cluster)) return cluster;
  return BADGES[cluster] ?? cluster.normalize("NFKC");
}

/** Undo disguises in a comment and fold its white space; only its first MAX_CHARS characters are read. */
export function cleanText(text) {
  return run(head(text), null)[0];
}

/**
 * Clean a comment as `cleanText` does and keep the way back to the original.
 *
 * Returns {text, originalSpan(begin, end)}; all positions are indices of JavaScript strings.
 */
export function clean(text) {
  const original = head(text);
  const origins = [];
  for (const c of original) for (let i = origins.length, unit = 0; unit < c.length; unit++) origins.push(i);
  const [cleaned, offsets] = run(original, origins);
  return {
    text: cleaned,
    originalSpan(begin, end) {
      const last = offsets[end - 1];
      return [offsets[begin], last + (original.codePointAt(last) > 0xffff ? 2 : 1)];
    },
  };
}

/** Return the first MAX_CHARS characters; not units, of which some characters have two. */
export function head(text) {
  if (text.length <= MAX_CHARS) return text;
  let end = 0;
  for (let i = 0; i < MAX_CHARS && end < text.length; i++) end += text.codePointAt(end) > 0xffff ? 2 : 1;
  return text.slice(0, end);
}

function run(text, offsets) {
  for (const [needed, edits] of ASCII.test(text) ? FOR_ASCII : FOR_UNICODE) {
    if (needed(text)) [text, offsets] = apply(text, offsets, edits);
  }
  if (DISGUISED.some((found) => found(text))) {
    for (const [needed, edits] of FOR_DISGUISES) {
      if (needed(text)) [text, offsets] = apply(text, offsets, edits);
    }
  }
  for (const edits of [foldBlanks, joinSplit, mendWords]) [text, offsets] = apply(text, offsets, edits);
  return [text, offsets];
}

function* foldBlanks(text) {
  for (const match of text.matchAll(new RegExp(BLANKS, "gu"))) {
    const end = match.index + match[0].length;
    const edge = match.index === 0 || end === text.length;
    if (edge || match[0] !== " ") yield [match.index, end, edge ? "" : " "];
  }
}

/** Carry out edits on a text and, where they are kept, on the origins of its units. */
function apply(text, offsets, edits) {
  let out = "";
  const origins = offsets && [];
  let done = 0;
  for (const [begin, end, replacement] of edits(text)) {
    out += text.slice(done, begin) + replacement;
    if (origins) {
      for (let i = done; i < begin; i++) origins.push(offsets[i]);
      spread(origins, offsets, text, begin, end, [...replacement]);
    }
    done = end;
  }
  if (!done) return [text, offsets];
  if (origins) for (let i = done; i < text.length; i++) origins.push(offsets[i]);
  return [out + text.slice(done), origins];
}

/** Let a replacement's characters come from what it replaces, spread evenly. */
function spread(origins, offsets, text, begin, end, characters) {
  if (!characters.length) return;
  const starts = [];
  for (let i = begin; i < end; i += text.codePointAt(i) > 0xffff ? 2 : 1) starts.push(i);
  characters.forEach((c, i) => {
    const origin = offsets[starts[Math.floor((i * starts.length) / characters.length)]];
    for (let unit = 0; unit < c.length; unit++) origins.push(origin);
  });
}
