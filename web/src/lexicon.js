// The words that tell a disguise from a product code; as in cleaning/lexicon.py.
import { COMMON, DISGUISED_WORDS, LONGEST_WORD, SPARED, WORDS } from "./tables.js";

const ranked = WORDS.split(" ");
const scale = Math.log(ranked.length);

/** The disguised words and their order: of two that fit, the earlier one is meant. */
export const disguised = new Map(DISGUISED_WORDS.split(" ").map((word, index) => [word, index]));

/** The known words and the cost of each in a segmentation: its negative log frequency (Zipf). */
export const words = new Map(ranked.map((word, rank) => [word, Math.log((rank + 1) * scale)]));

export const common = new Set(ranked.slice(0, COMMON));

/** What looks misspelt and is left as it is: words, and what comments spell so again and again. */
export const spared = new Set(SPARED.split(" "));

/** Cut a run of letters into its likeliest words (Viterbi), or return null where too few are known. */
export function split(letters) {
  const costs = [0];
  const from = [0];
  for (let end = 1; end <= letters.length; end++) {
    costs.push(Infinity);
    from.push(0);
    for (let begin = Math.max(0, end - LONGEST_WORD); begin < end; begin++) {
      const cost = costs[begin] + price(letters.slice(begin, end));
      if (cost < costs[end]) {
        costs[end] = cost;
        from[end] = begin;
      }
    }
  }
  const pieces = [];
  for (let end = letters.length; end; end = from[end]) pieces.push(letters.slice(from[end], end));
  pieces.reverse();
  const covered = pieces.reduce((sum, p) => sum + (p.length > 2 && words.has(p) ? p.length : 0), 0);
  return 2 * covered >= letters.length ? pieces : null;
}

function price(piece) {
  if (piece === "a" || piece === "i") return 6;
  return words.get(piece) ?? 14 + 3 * piece.length;
}
