// CSV as Python's csv module reads it when it is strict, a line at a time.
import { UserError } from "./errors.js";

const MAX_ROW = 16 << 20;

// What a file begins with, and what it is then.
const OTHER_KINDS = [
  [[0x50, 0x4b, 3, 4], "is a zip archive or an Excel workbook; save the sheet as CSV in UTF-8"],
  [[0xd0, 0xcf, 0x11, 0xe0], "is an old Excel or Word file; save the sheet as CSV in UTF-8"],
  [[0x1f, 0x8b], "is compressed with gzip; unzip it first"],
  [[0x50, 0x41, 0x52, 0x31], "is Parquet; only CSV and TSV can be read here"],
  [[0x25, 0x50, 0x44, 0x46], "is a PDF; only tables of comments can be read"],
  [[0xff, 0xfe], "is UTF-16; save it as UTF-8"],
  [[0xfe, 0xff], "is UTF-16; save it as UTF-8"],
];

/** The lines of a file, line ends included: {text, damaged, number, size}; `read` counts their bytes. */
export class Lines {
  #reader;
  #waiting = [];
  #rest = [];
  #restSize = 0;
  #begun = false;
  #ended = false;
  #strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #lax = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(file) {
    this.name = file.name;
    this.number = 0;
    this.read = 0;
    this.bom = false;
    this.lineEnd = "\n";
    this.#reader = file.stream().getReader();
  }

  /** Return the next line, or undefined at the end. */
  async next() {
    while (!this.#waiting.length && !this.#ended) await this.#fetch();
    const line = this.#waiting.shift();
    this.read += line?.size ?? 0;
    return line;
  }

  /** Put lines back that were read in vain. */
  unread(lines) {
    this.#waiting.unshift(...lines);
    for (const line of lines) this.read -= line.size;
  }

  async #fetch() {
    let found;
    try {
      found = await this.#reader.read();
    } catch (error) {
      throw new UserError(`can't read ${this.name}: ${error.message}`);
    }
    const { done, value } = found;
    if (done) {
      this.#ended = true;
      if (this.#restSize) this.#push(new Uint8Array(0));
      else if (!this.number) throw new UserError(`${this.name} is empty`);
      return;
    }
    if (!this.#begun) this.#check(value);
    this.#begun = true;
    let begin = 0;
    for (let end = value.indexOf(10); end >= 0; end = value.indexOf(10, begin)) {
      this.#push(value.subarray(begin, end + 1));
      begin = end + 1;
    }
    if (begin < value.length) {
      this.#rest.push(value.slice(begin));
      this.#restSize += value.length - begin;
      this.#limit(this.#restSize);
    }
  }

  #check(head) {
    for (const [magic, sentence] of OTHER_KINDS) {
      if (magic.every((byte, i) => head[i] === byte)) throw new UserError(`${this.name} ${sentence}`);
    }
    if (head.length > 3 && ((!head[0] && !head[2]) || (!head[1] && !head[3]))) {
      throw new UserError(`${this.name} is UTF-16; save it as UTF-8`);
    }
    if (!head.includes(10) && head.subarray(0, -1).includes(13)) {
      throw new UserError(`${this.name} has the line ends of old Macs (\\r alone); save it with \\n`);
    }
  }

  #limit(size) {
    if (size > MAX_ROW) {
      throw new UserError(`${this.name}: line ${this.number + 1} is longer than ${MAX_ROW >> 20} MB`);
    }
  }

  #push(end) {
    let bytes = end;
    if (this.#restSize) {
      bytes = new Uint8Array(this.#restSize + end.length);
      let at = 0;
      for (const part of [...this.#rest, end]) {
        bytes.set(part, at);
        at += part.length;
      }
      [this.#rest, this.#restSize] = [[], 0];
    }
    this.#limit(bytes.length);
    this.number += 1;
    let text;
    let damaged = false;
    try {
      text = this.#strict.decode(bytes);
    } catch {
      text = this.#lax.decode(bytes);
      damaged = true;
    }
    if (this.number === 1) {
      this.bom = text.startsWith("\ufeff");
      if (this.bom) text = text.slice(1);
      if (text.endsWith("\r\n")) this.lineEnd = "\r\n";
    }
    this.#waiting.push({ text, damaged, number: this.number, size: bytes.length });
  }
}

/** Lines in, rows out. */
export class RowParser {
  /** Lines that belong to later rows; for whoever feeds several parsers. */
  left = [];
  #fields = [];
  #field = "";
  #lines = [];
  #size = 0;
  #damaged = false;

  constructor(delimiter) {
    this.delimiter = delimiter;
    /** Whether a row has begun and not ended. */
    this.open = false;
    /** The line in which it began. */
    this.begin = 0;
  }

  /**
   * Take a line. Returns nothing where its row goes on, {} for a blank line, else the row:
   * {fields, problem, written}, with a problem of null if all is well.
   */
  feed({ text, damaged, number }) {
    if (!this.open) {
      if (/^[\r\n]*$/.test(text)) return {};
      this.begin = number;
    }
    this.#lines.push(text);
    this.#size += text.length;
    this.#damaged ||= damaged;
    if (this.#size > MAX_ROW) {
      throw new UserError(`a quote that opens in line ${this.begin} seems never to be closed`);
    }
    if (!this.open && !text.includes('"')) {
      const line = text.replace(/[\r\n]+$/, "");
      return this.#end(line.split(this.delimiter), line.includes("\r") ? "broken quoting" : null);
    }
    return this.#scan(text);
  }

  #scan(text) {
    const { delimiter } = this;
    let quoted = this.open;
    let i = 0;
    for (;;) {
      if (quoted) {
        const quote = text.indexOf('"', i);
        if (quote < 0) {
          this.#field += text.slice(i);
          this.open = true;
          return undefined;
        }
        this.#field += text.slice(i, quote);
        i = quote + 1;
        if (text[i] === '"') {
          this.#field += '"';
          i += 1;
          continue;
        }
        quoted = false;
        if (i < text.length && text[i] !== delimiter && text[i] !== "\r" && text[i] !== "\n") {
          return this.#end([], "broken quoting");
        }
      } else if (text[i] === '"' && this.#field === "") {
        quoted = true;
        i += 1;
        continue;
      } else {
        const begin = i;
        while (i < text.length && text[i] !== delimiter && text[i] !== "\r" && text[i] !== "\n") i += 1;
        this.#field += text.slice(begin, i);
      }
      this.#fields.push(this.#field);
      this.#field = "";
      if (text[i] !== delimiter) {
        return this.#end(this.#fields, /^[\r\n]*$/.test(text.slice(i)) ? null : "broken quoting");
      }
      i += 1;
    }
  }

  #end(fields, problem) {
    const written = this.#lines.join("").replace(/[\r\n]+$/, "");
    const row = { fields: problem ? [] : fields, problem: problem ?? (this.#damaged ? "not UTF-8" : null), written };
    [this.#fields, this.#field, this.#lines, this.#size, this.#damaged] = [[], "", [], 0, false];
    this.open = false;
    return row;
  }
}

/** Write a row, quoted where it has to be. */
export function writeRow(fields, delimiter, lineEnd) {
  const quoted = fields.map((field) =>
    /["\r\n]/.test(field) || field.includes(delimiter) ? `"${field.replaceAll('"', '""')}"` : field,
  );
  return quoted.join(delimiter) + lineEnd;
}
