/** Why a file is no list, by its first bytes: whoever chose a picture is told so, whatever the picture is called. */

export type NoList = "empty" | "picture" | "pdf" | "workbook" | "sound" | "binary" | "tooLarge";

/** How much of a file is looked at. */
export const HEAD_BYTES = 1024;

const SIGNATURES: readonly (readonly [NoList, readonly number[], number?])[] = [
  ["picture", [0x89, 0x50, 0x4e, 0x47]],
  ["picture", [0xff, 0xd8, 0xff]],
  ["picture", [0x47, 0x49, 0x46, 0x38]], // GIF8
  ["picture", [0x57, 0x45, 0x42, 0x50], 8], // WEBP
  ["picture", [0x66, 0x74, 0x79, 0x70, 0x68, 0x65, 0x69], 4], // ftyphei: HEIC
  ["pdf", [0x25, 0x50, 0x44, 0x46]],
  ["workbook", [0x50, 0x4b, 0x03, 0x04]], // a zip: XLSX, ODS, Numbers
  ["workbook", [0xd0, 0xcf, 0x11, 0xe0]], // XLS
  ["sound", [0x49, 0x44, 0x33]], // MP3
  ["sound", [0x66, 0x74, 0x79, 0x70], 4], // MP4
];

/** What else the file is; null for a text. */
export function kindOf(head: Uint8Array): NoList | null {
  if (head.length === 0) return "empty";
  const found = SIGNATURES.find(([, bytes, at = 0]) => bytes.every((byte, n) => head[at + n] === byte));
  if (found) return found[0];
  return encodingOf(head) === "utf-8" && head.includes(0) ? "binary" : null;
}

/** By the mark at its beginning, which spreadsheets write for "Unicode text". */
export function encodingOf(head: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  return head[0] === 0xfe && head[1] === 0xff ? "utf-16be" : "utf-8";
}

export async function headOf(file: File): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
}

export async function textOf(file: File): Promise<string> {
  return new TextDecoder(encodingOf(await headOf(file))).decode(await file.arrayBuffer());
}
