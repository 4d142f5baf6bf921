// Mend misspelt words; as in cleaning/spelling.py. Each function takes a text and yields edits:
// [begin, end, replacement] in UTF-16 units, in order, not overlapping.
import { disguised, spared, words } from "./lexicon.js";
import { pattern } from "./patterns.js";
import { ENDINGS, LONGEST_WORD, SHORT, SHORTEST_RUN } from "./tables.js";

const WORD = pattern("spelling._WORD", "gu");
const PIECE = pattern("spelling._PIECE", "gu");
const REMEMBERED = 65_536; // words

const short = new Set(SHORT.split(" "));
const endings = new Set(ENDINGS.split(" "));
const memory = new Map();
let frames = null;

/** Spell misspelt words plainly, and put blanks between words run together. */
export function* mendWords(text) {
  for (const match of text.matchAll(WORD)) {
    const word = match[0].toLowerCase();
    const mended = mend(word);
    if (mended !== word) yield [match.index, match.index + word.length, cased(mended, match[0])];
  }
}

/** Drop the blank inside a word: of two pieces of which one is no word, where both make a known one. */
export function* joinSplit(text) {
  let last = null;
  for (const match of text.matchAll(PIECE)) {
    const end = last && last.index + last[0].length;
    if (last && text.slice(end, match.index) === " ") {
      const left = last[0].toLowerCase();
      const right = match[0].toLowerCase();
      if (!(known(left) && known(right)) && joins(left + right)) {
        yield [end, match.index, ""];
        last = null;
        continue;
      }
    }
    last = match;
  }
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
  const long = (each) => each.length > 4;
  return (
    best(swapped.filter(long)) ??
    best(single.filter(long)) ??
    best(longer(word).filter((each) => lacksOne(each, word))) ??
    (word.length >= SHORTEST_RUN ? cut(word) : null)
  );
}

const known = (word) => words.has(word) || spared.has(word) || word === "a" || word === "i";
const joins = (word) => (word.length > 4 ? words : disguised).has(word);

/** Return the known candidate that people disguise, or else the most common one. */
function best(candidates) {
  let found = null;
  for (const word of candidates) {
    if (words.has(word) && (found === null || before(word, found))) found = word;
  }
  return found;
}

function before(word, other) {
  const [a, b] = [disguised.has(word), disguised.has(other)];
  return a === b ? words.get(word) < words.get(other) : a;
}

/** Return the words of one letter more that begin and end like a word. */
function longer(word) {
  const frame = (each, length) => `${each[0]}${each.at(-1)}${length}`;
  if (frames === null) {
    frames = new Map();
    for (const each of words.keys()) {
      if (each.length > 5 || (each.length > 4 && disguised.has(each))) {
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

function cased(word, like) {
  if (like === like.toUpperCase()) return word.toUpperCase();
  return like[0] === like[0].toUpperCase() ? word[0].toUpperCase() + word.slice(1) : word;
}
