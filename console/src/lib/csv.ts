/** Tables for spreadsheets. */

export type CsvCell = string | number | null | undefined;

/**
 * What begins a formula in a spreadsheet, wherever a cell may begin for one that splits by another delimiter: as in exports of the
 * API (control/contacts/csvfiles.py).
 */
const FORMULA = /(?<![^,;|\t\r\n])(?="*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20'])/g;

/** RFC 4180. A text that a spreadsheet would take for a formula has an apostrophe before it. */
export function toCsv(head: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value: CsvCell): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = value.replace(FORMULA, "'");
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Give the browser a file. */
export function download(name: string, content: string, type = "text/csv"): void {
  const url = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
