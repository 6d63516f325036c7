/** Where a document comes from: a file, a text, an address. */
import type { Schemas } from "@/api/client";

type Format = Schemas["KnowledgeFormat"];

export type Source = { kind: "file"; file: File; format: Format | undefined } | { kind: "text"; text: string; format: Format | undefined } | { kind: "url"; url: string; refetchHours: number };

const FORMATS: Record<string, Format> = { txt: "text", md: "markdown", markdown: "markdown", html: "html", htm: "html", pdf: "pdf", docx: "docx", csv: "csv" };

/** What the dialog for files offers. */
export const ACCEPTED = Object.keys(FORMATS)
  .map((ending) => `.${ending}`)
  .join(",");

const MOST_NAME = 120;

/** How many files are added at a time. */
export const MOST_FILES = 20;

/** The files that are taken, and how many were left out because they were more than are taken at a time. */
export interface Chosen {
  files: File[];
  left: number;
}

export function chosen(files: readonly File[], most: number): Chosen {
  return { files: files.slice(0, most), left: Math.max(0, files.length - most) };
}

/** What a file is by its ending; undefined leaves it to the server, which looks into it. */
export function formatOf(fileName: string): Format | undefined {
  return FORMATS[/\.([a-z0-9]+)$/i.exec(fileName)?.[1]?.toLowerCase() ?? ""];
}

/** What a file's document is called: its name without the ending, on one line. */
export function titleOf(fileName: string): string {
  const stem = formatOf(fileName) ? fileName.replace(/\.[a-z0-9]+$/i, "") : fileName;
  return stem.replaceAll(/[\s_]+/g, " ").trim().slice(0, MOST_NAME).trim();
}

/** What the documents of files are called that come together: two of one name keep their endings. */
export function titlesOf(fileNames: readonly string[]): string[] {
  const titles = fileNames.map(titleOf);
  return titles.map((title, at) => (titles.indexOf(title) === titles.lastIndexOf(title) ? title : (fileNames[at] ?? title).slice(0, MOST_NAME)));
}

/** What an address's document is called: its host and path. */
export function titleOfUrl(url: string): string {
  try {
    const { hostname, pathname } = new URL(url);
    return `${hostname}${pathname === "/" ? "" : pathname}`.slice(0, MOST_NAME);
  } catch {
    return "";
  }
}
