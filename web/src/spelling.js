// Mend misspelt words; as in cleaning/spelling.py. Each function takes a text and yields edits:
// [begin, end, replacement] in UTF-16 units, in order, not overlapping.
import { disguised, spared, words } from "./lexicon.js";
import { pattern } from "./patterns.js";
import {
  CONTRACTED, ENDINGS, FUNCTION, LONGEST_WORD, RATHER, SHORT, SHORTEST_RUN, UNCONTRACTED,
} from "./tables.js";

const WORD = pattern("spelling._WORD", "gu");
const PIECE = pattern("spelling._PIECE", "gu");
const REMEMBERED = 65_536; // words

const short = new Set(SHORT.split(" "));
const endings = new Set(ENDINGS.split(" "));
const functions = new Set(FUNCTION.split(" "));
const contracted = new Set(CONTRACTED.split(" "));
const uncontracted = new Set(UNCONTRACTED.split(" "));
const memory = new Map();
let frames = null;

/** What a word of a rank costs, as in lexicon.js. */
const price = (rank) => Math.log((rank + 1) * Math.log(words.size));

/** Spell misspelt words plainly, and put blanks between words run together. */
export function* mendWords(text) {
  for (const match of text.matchAll(WORD)) {
    const meant = mend(match[0].toLowerCase());
    yield* changes(match[0], meant, match.index);
  }
}

/** Yield the least edits that make a word what it was meant to be. */
function* changes(word, meant, begin) {
  if (meant.includes(" ")) {
    let end = begin;
    for (const piece of meant.split(" ").slice(0, -1)) {
      end += piece.length;
      yield [end - 1, end, `${word[end - begin - 1]} `];
    }
    return;
  }
  const lower = word.toLowerCase();
  if (meant === lower) return;
  let at = 0;
  while (at < meant.length && meant[at] === lower[at]) at++;
  if (meant.length === word.length) yield [begin + at, begin + at + 2, word[at + 1] + word[at]];
  else if (meant.length < word.length) yield [begin + at, begin + at + 1, ""];
  else {
    const missing = word === word.toUpperCase() ? meant[at].toUpperCase() : meant[at];
    yield [begin + at - 1, begin + at, word[at - 1] + missing];
  }
}

/** Drop the blank inside a word: of two pieces of which one is no word, where both make a known one. */
export function* joinSplit(text) {
  const pieces = [...text.matchAll(PIECE)];
  for (let i = 1; i < pieces.length; i++) {
    const [left, right] = [pieces[i - 1], pieces[i]];
    const end = left.index + left[0].length;
    if (text.slice(end, right.index) !== " " || !belong(text, pieces, i)) continue;
    yield [end, right.index, ""];
    i++;
  }
}

/** Return whether two pieces are one word, and no initial, abbreviation or contraction beside a word. */
function belong(text, pieces, i) {
  const [left, right] = [pieces[i - 1][0], pieces[i][0]];
  const [one, other] = [left.toLowerCase(), right.toLowerCase()];
  const strange = [one, other].filter((piece) => !known(piece));
  if (!strange.length || !joins(one + other) || (contracted.has(other) && known(one))) return false;
  const upper = left === left.toUpperCase();
  const shouted = upper && right === right.toUpperCase();
  if (!shouted && right !== other) return false;
  if (upper && !shouted && !known(one) && known(other)) return false;
  if (contracted.has(one) && !known(one) && known(other)) {
    const before = pieces[i - 2];
    const touches = before && text.slice(before.index + before[0].length, pieces[i - 1].index) === " ";
    if (touches && !uncontracted.has(before[0].toLowerCase())) return false;
  }
  if (functions.has(one) || functions.has(other)) {
    return strange[0].length > 2 && disguised.has(one + other);
  }
  return true;
}

/** Return the word or words that a word was meant to be; itself where that is unclear. */
function mend(word) {
  if (known(word)) return word;
  let mended = memory.get(word);
  if (mended === undefined) {
    mended = guess(word) ?? word;
    if (memory.size >= REMEMBERED) memory.clear();
    memory.set(word, mended);
  }
  return mended;
}

function guess(word) {
  const swapped = [];
  const single = [];
  for (let i = 1; i < word.length - 1; i++) {
    if (i < word.length - 2) swapped.push(word.slice(0, i) + word[i + 1] + word[i] + word.slice(i + 2));
    if (word[i] === word[i - 1]) single.push(word.slice(0, i) + word.slice(i + 1));
  }
  const lacking = longer(word).filter((each) => lacksOne(each, word));
  const found = best(swapped) ?? best(single) ?? best(lacking);
  if (found === null) return word.length >= SHORTEST_RUN ? cut(word) : null;
  // A short word lacking is too short to tell, and a sign that no abuse is meant.
  return found.length > word.length && found.length < 6 && !disguised.has(found) ? null : found;
}

const known = (word) => words.has(word) || spared.has(word) || word === "a" || word === "i";
const joins = (word) => (word.length > 4 ? words : disguised).has(word);

/** Return the common candidate, or one that people disguise where there is none, or the most common one. */
function best(candidates) {
  const fitting = candidates.filter((word) => word.length > 4 && words.has(word));
  const common = fitting.some((word) => !disguised.has(word) && words.get(word) < price(RATHER));
  const last = (word) => disguised.has(word) === common;
  const before = (a, b) => last(a) - last(b) || words.get(a) - words.get(b);
  return fitting.sort(before)[0] ?? null;
}

/** Return the words of one letter more that begin and end like a word. */
function longer(word) {
  const frame = (each, length) => `${each[0]}${each.at(-1)}${length}`;
  if (frames === null) {
    frames = new Map();
    for (const each of words.keys()) {
      if (each.length > 4) {
        const key = frame(each, each.length);
        if (!frames.has(key)) frames.set(key, []);
        frames.get(key).push(each);
      }
    }
  }
  return frames.get(frame(word, word.length + 1)) ?? [];
}

function lacksOne(whole, word) {
  let at = 0;
  while (at < word.length && whole[at] === word[at]) at++;
  return whole.slice(at + 1) === word.slice(at);
}

/** Cut words run together at their likeliest blanks (Viterbi); null unless all pieces are words. */
function cut(word) {
  const found = new Map([[0, [0, 0]]]);
  for (let begin = 0; begin < word.length; begin++) {
    if (!found.has(begin)) continue;
    const so = found.get(begin)[0];
    for (let end = begin + 1; end <= Math.min(word.length, begin + LONGEST_WORD); end++) {
      const piece = word.slice(begin, end);
      if (end === word.length && endings.has(piece)) continue;
      if (!short.has(piece) && !(piece.length > 3 && words.has(piece))) continue;
      const cost = so + (words.get(piece) ?? 6);
      if (!found.has(end) || cost < found.get(end)[0]) found.set(end, [cost, begin]);
    }
  }
  if (!found.has(word.length)) return null;
  const pieces = [];
  for (let end = word.length; end; end = found.get(end)[1]) pieces.push(word.slice(found.get(end)[1], end));
  return pieces.reverse().join(" ");
}
