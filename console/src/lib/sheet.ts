/** Files of recipients: a header and rows, separated by comma, semicolon or tab, as spreadsheets write them. */

import { encodingOf, headOf } from "./no-list";

/** Bytes that are read at once: some milliseconds. */
const SLICE_BYTES = 262_144;

export interface Sheet {
  header: string[];
  rows: string[][];
}

/** Cells of a text; quotes as RFC 4180 has them. The separator is the one that the first line has most of. */
export function readSheet(text: string): Sheet {
  const reader = new SheetReader();
  reader.feed(text);
  return reader.end();
}

/** How far a first line is looked for before its separator is decided. */
const LONGEST_FIRST_LINE = 65_536;

/** Reads a sheet piece by piece, however the pieces are cut. */
export class SheetReader {
  #rows: string[][] = [];
  #row: string[] = [];
  #cell = "";
  #isQuoted = false;
  #separator = "";
  /** What isn't read yet: all until the separator is known, then what the next character decides about. */
  #rest = "";
  #isFirst = true;

  /** How many rows are read, the header not counted. */
  get rows(): number {
    return Math.max(0, this.#rows.length - 1);
  }

  feed(text: string): void {
    let source = this.#rest + text;
    if (this.#isFirst) {
      if (source === "") return;
      source = source.replace(/^\uFEFF/, "");
      this.#isFirst = false;
    }
    if (!this.#separator) {
      const end = source.search(/[\r\n]/);
      if (end < 0 && source.length < LONGEST_FIRST_LINE) {
        this.#rest = source;
        return;
      }
      this.#separator = separatorOf(end < 0 ? source : source.slice(0, end));
    }
    this.#rest = source.slice(-1);
    this.#read(source, source.length - 1);
  }

  end(): Sheet {
    this.#separator ||= separatorOf(this.#rest);
    this.#read(this.#rest, this.#rest.length);
    if (this.#cell !== "" || this.#row.length > 0) this.#endRow();
    const [header = [], ...rows] = this.#rows;
    return { header: header.map((name) => name.trim()), rows };
  }

  /** Read up to `until`; the character behind it may be looked at. */
  #read(text: string, until: number): void {
    let at = 0;
    for (; at < until; at += 1) {
      const char = text[at] as string;
      if (this.#isQuoted) {
        if (char !== '"') this.#cell += char;
        else if (text[at + 1] === '"') {
          this.#cell += '"';
          at += 1;
        } else this.#isQuoted = false;
      } else if (char === '"' && this.#cell === "") this.#isQuoted = true;
      else if (char === this.#separator) {
        this.#row.push(this.#cell);
        this.#cell = "";
      } else if (char === "\n" || char === "\r") {
        if (char === "\r" && text[at + 1] === "\n") at += 1;
        this.#endRow();
      } else this.#cell += char;
    }
    if (at > until) this.#rest = ""; // the last character was the second of a pair
  }

  #endRow(): void {
    const row = [...this.#row, this.#cell];
    if (row.some((cell) => cell.trim() !== "")) this.#rows.push(row);
    this.#row = [];
    this.#cell = "";
  }
}

function separatorOf(line: string): string {
  const [separator = ","] = [",", ";", "\t"].toSorted((a, b) => line.split(b).length - line.split(a).length);
  return separator;
}

/** Read a file without holding the page up: piece by piece, and no further than `mostRows`. Null if there are more. */
export async function readSheetOf(file: File, mostRows: number): Promise<Sheet | null> {
  const decoder = new TextDecoder(encodingOf(await headOf(file)));
  const reader = new SheetReader();
  for (let at = 0; at < file.size; at += SLICE_BYTES) {
    // One after the other: each continues where the one before ends.
    // oxlint-disable-next-line no-await-in-loop
    reader.feed(decoder.decode(await file.slice(at, at + SLICE_BYTES).arrayBuffer(), { stream: true }));
    if (reader.rows > mostRows) return null;
  }
  reader.feed(decoder.decode());
  const sheet = reader.end();
  return sheet.rows.length > mostRows ? null : sheet;
}

/** What a column is called in a text: `First name` is `{{first_name}}`. */
export function variableName(column: string): string {
  return column
    .normalize("NFD")
    .replaceAll(/[\u0300-\u036F]/g, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "")
    .slice(0, 60);
}

/** Which column holds the numbers: by its name, else by what is in it; -1 for none. */
export function phoneColumn(sheet: Sheet): number {
  const byName = sheet.header.findIndex((name) => /phone|mobile|number|tel|cell|móvil|celular|número/i.test(name));
  if (byName >= 0) return byName;
  return sheet.header.findIndex((_, at) => sheet.rows.length > 0 && sheet.rows.slice(0, 20).every((row) => isPhoneLike(row[at] ?? "")));
}

export function isPhoneLike(text: string): boolean {
  return /^\s*'?\+?[\d\s().\-/]{7,24}$/.test(text) && text.replaceAll(/\D/g, "").length >= 7;
}

/** Numbers that were pasted, one a line or separated by commas; each once, in their order. */
export function pastedNumbers(text: string): string[] {
  return [...new Set(text.split(/[\n,;\t]+/).map((each) => each.trim()).filter(Boolean))];
}
