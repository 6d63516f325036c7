/** Files of recipients: a header and rows, separated by comma, semicolon or tab, as spreadsheets write them. */

export interface Sheet {
  header: string[];
  rows: string[][];
}

/** Cells of a text; quotes as RFC 4180 has them. The separator is the one that the first line has most of. */
export function readSheet(text: string): Sheet {
  const source = text.replace(/^\uFEFF/, "");
  const firstLine = source.slice(0, source.search(/\r?\n|$/));
  const [separator] = [",", ";", "\t"].toSorted((a, b) => firstLine.split(b).length - firstLine.split(a).length);
  const rows = cells(source, separator ?? ",").filter((row) => row.some((cell) => cell.trim() !== ""));
  const [header = [], ...rest] = rows;
  return { header: header.map((name) => name.trim()), rows: rest };
}

function cells(text: string, separator: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (isQuoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else isQuoted = false;
    } else if (char === '"' && cell === "") isQuoted = true;
    else if (char === separator) {
      row.push(cell);
      cell = "";
    } else if (char === "\n" || char === "\r") {
      if (char === "\r" && text[at + 1] === "\n") at += 1;
      rows.push([...row, cell]);
      row = [];
      cell = "";
    } else cell += char;
  }
  if (cell !== "" || row.length > 0) rows.push([...row, cell]);
  return rows;
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
