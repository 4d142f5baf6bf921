// Screen a CSV or TSV file, a chunk at a time; columns and errors as in giantkiller.files.
import { UserError } from "./errors.js";
import { pattern } from "./patterns.js";
import { ACTIONS, ATTRIBUTES, TEXT_COLUMNS } from "./tables.js";
import { Lines, RowParser, writeRow } from "./csv.js";

const CHUNK_ROWS = 256;
const CHUNK_CHARACTERS = 1 << 20;
const PART_CHARACTERS = 4 << 20;
const MAX_COLUMNS = 4096;
const ALL_BLANK = new RegExp(`^(?:${pattern("cleaning._BLANKS").source})?$`, "u");

/** Read a file's header: {names, textColumn}, the latter null if no column has a usual name. */
export async function readColumns(file) {
  const { names } = await open(file);
  return { names, textColumn: usual(names) };
}

/**
 * Screen a file: its rows in their order, with seven scores, `action`, `attribute` and `error`.
 *
 * `options.textColumn`, where the comments are, if it has an uncommon name; `options.policy` as for `judge`;
 * `options.progress`, called with the fraction that is done.
 * Returns {blob, rows, errors, actions}. Throws UserError for a file that can't be read as a table.
 */
export async function screenTable(screener, file, { textColumn, policy, signal, progress } = {}) {
  const { lines, parser, names } = await open(file);
  const text = names.indexOf(choose(file, names, textColumn));
  const added = [...ATTRIBUTES, "action", "attribute", "error"];
  for (const name of added) {
    if (names.includes(name)) {
      throw new UserError(`${file.name} already has a column '${name}', which screening would add; rename it`);
    }
  }
  const summary = { rows: 0, errors: 0, actions: Object.fromEntries(ACTIONS.map((action) => [action, 0])) };
  const parts = [];
  let written = (lines.bom ? "\ufeff" : "") + writeRow([...names, ...added], parser.delimiter, lines.lineEnd);
  for await (const chunk of chunks(lines, parser, names.length, text)) {
    const good = chunk.filter((row) => row.problem === null);
    const verdicts = await screener.judge(good.map((row) => row.fields[text]), { policy, signal });
    good.forEach((row, i) => (row.verdict = verdicts[i]));
    for (const { fields, problem, verdict } of chunk) {
      written += writeRow([...fields, ...columns(verdict, problem)], parser.delimiter, lines.lineEnd);
      summary.rows += 1;
      if (verdict) summary.actions[verdict.action] += 1;
      else summary.errors += 1;
    }
    if (written.length > PART_CHARACTERS) {
      parts.push(new Blob([written])); // a browser may keep it on disk
      written = "";
    }
    progress?.(file.size ? lines.read / file.size : 1);
    signal?.throwIfAborted();
  }
  return { blob: new Blob([...parts, written], { type: "text/csv" }), ...summary };
}

function columns(verdict, problem) {
  if (!verdict) return [...ATTRIBUTES.map(() => ""), "", "", problem];
  const scores = ATTRIBUTES.map((attribute) => verdict.scores[attribute].toFixed(6));
  return [...scores, verdict.action, verdict.action === ACTIONS[0] ? "" : verdict.attribute, ""];
}

/** Read rows until there are many; a row without the header's columns keeps what was written as its text. */
async function* chunks(lines, parser, width, text) {
  let rows = [];
  let size = 0;
  for await (const { fields, problem, written } of rowsOf(lines, parser)) {
    let row = { fields, problem: problem ?? (ALL_BLANK.test(fields[text] ?? "") ? "no text" : null) };
    if (fields.length !== width) {
      row = { fields: Array(width).fill(""), problem: problem ?? `${fields.length} fields where the header has ${width}` };
      row.fields[text] = written;
    }
    rows.push(row);
    size += written.length;
    if (rows.length >= CHUNK_ROWS || size >= CHUNK_CHARACTERS) {
      yield rows;
      [rows, size] = [[], 0];
    }
  }
  if (rows.length) yield rows;
}

async function* rowsOf(lines, parser) {
  for (let line = await lines.next(); line; line = await lines.next()) {
    const row = parser.feed(line);
    if (row?.fields) yield row;
  }
  if (parser.open) {
    throw new UserError(`${lines.name}: a quote is opened in the row of line ${parser.begin} and never closed`);
  }
}

/** Choose what stands between fields by the header, and go on after it. */
async function open(file) {
  const lines = new Lines(file);
  const parsers = (/\.tsv$/i.test(file.name) ? ["\t"] : [",", ";", "\t"]).map((d) => new RowParser(d));
  const headers = new Map();
  for (let line = await lines.next(); line; line = await lines.next()) {
    for (const parser of parsers) {
      if (headers.has(parser)) parser.left.push(line); // of a header that another delimiter ends later
      else {
        const row = parser.feed(line);
        if (row?.fields) headers.set(parser, row);
      }
    }
    if (headers.size === parsers.length || (headers.size && line.number > 100)) break;
  }
  const good = [...headers].filter(([, row]) => row.problem === null);
  if (!good.length) {
    const [, bad] = [...headers][0] ?? [];
    throw new UserError(
      bad ? `${file.name}: the header can't be read: ${bad.problem}` : `${file.name} has no header`,
    );
  }
  const named = good.find(([, row]) => usual(row.fields) !== null);
  const [parser, row] = named ?? good.reduce((a, b) => (b[1].fields.length > a[1].fields.length ? b : a));
  if (row.fields.length > MAX_COLUMNS) {
    throw new UserError(`${file.name} has ${row.fields.length} columns; at most ${MAX_COLUMNS} can be read`);
  }
  lines.unread(parser.left);
  return { lines, parser, names: row.fields };
}

function usual(names) {
  const folded = names.map((name) => name.trim().toLowerCase().replace(/[ -]/g, "_"));
  const found = TEXT_COLUMNS.find((name) => folded.includes(name));
  if (found === undefined) return null;
  return names.includes(found) ? found : names[folded.indexOf(found)];
}

function choose(file, names, wanted) {
  const column = wanted ?? usual(names);
  if (column === null) {
    throw new UserError(`${file.name}: none of its columns is called ${TEXT_COLUMNS.join(" or ")}; choose one`);
  }
  const times = names.filter((name) => name === column).length;
  if (times === 0) throw new UserError(`${file.name} has no column '${column}'`);
  if (times > 1) throw new UserError(`${file.name} has two columns called '${column}'; rename one`);
  return column;
}
