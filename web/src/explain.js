// Which words carried a score: each one left out in turn, the rest scored again; as in explain.py.
import { clean } from "./cleaning.js";
import { UserError } from "./errors.js";
import { pattern } from "./patterns.js";
import { ATTRIBUTES } from "./tables.js";

const WORD = pattern("explain._WORD", "gu");

/**
 * Return the words that the model read, in order: [{begin, end, contribution}, ...], where
 * text.slice(begin, end) is the word and `contribution` the score less the score without the word.
 */
export async function explain(screener, text, attribute = "toxicity", { signal } = {}) {
  const column = ATTRIBUTES.indexOf(attribute);
  if (column < 0) throw new UserError(`'${attribute}' is none of the attributes ${ATTRIBUTES.join(", ")}`);
  if (typeof text !== "string") throw new UserError(`the text to explain is of type ${typeof text}, not a string`);
  const cleaned = clean(text);
  const { encoder } = screener;
  const words = [];
  let end = 0;
  let room = 0;
  for (const match of cleaned.text.matchAll(WORD)) {
    room += encoder.ids(match[0]).length;
    if (room > encoder.room) break;
    end = match.index + match[0].length;
    words.push([match.index, end]);
  }
  if (!words.length) return [];
  const read = cleaned.text.slice(0, end);
  const variants = [read, ...words.map(([a, b]) => `${read.slice(0, a)} ${read.slice(b)}`)];
  const rows = await screener.scoreIds(encoder.encodeCleaned(variants), { signal });
  return words.map(([a, b], i) => {
    const [begin, stop] = cleaned.originalSpan(a, b);
    return { begin, end: stop, contribution: rows[0][column] - rows[i + 1][column] };
  });
}
