// node test/rows.mjs IN OUT: the rows of CSV texts (a JSON list), null for a bad one, "open" where one never ends.
import { readFileSync, writeFileSync } from "node:fs";
import { RowParser } from "../src/csv.js";

const [input, output] = process.argv.slice(2);
const rowsOf = (text) => {
  const parser = new RowParser(",");
  const rows = [];
  for (const [i, line] of (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).entries()) {
    const row = parser.feed({ text: line, damaged: false, number: i + 1 });
    if (row?.fields) rows.push(row.problem ? null : row.fields);
  }
  if (parser.open) rows.push("open");
  return rows;
};
writeFileSync(output, JSON.stringify(JSON.parse(readFileSync(input, "utf8")).map(rowsOf)));
