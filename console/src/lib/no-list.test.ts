import { expect, it } from "vitest";
import { encodingOf, kindOf, textOf } from "./no-list";

const bytes = (...parts: (string | number)[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part].map((char) => char.codePointAt(0) ?? 0))));

it.each([
  [bytes(), "empty"],
  [bytes(0x89, "PNG\r\n"), "picture"],
  [bytes(0xff, 0xd8, 0xff, 0xe0), "picture"],
  [bytes("GIF89a"), "picture"],
  [bytes("RIFF", 0, 0, 0, 0, "WEBPVP8"), "picture"],
  [bytes(0, 0, 0, 24, "ftypheic"), "picture"],
  [bytes("%PDF-1.7"), "pdf"],
  [bytes("PK", 3, 4), "workbook"],
  [bytes(0xd0, 0xcf, 0x11, 0xe0), "workbook"],
  [bytes("ID3", 4), "sound"],
  [bytes(0, 0, 0, 24, "ftypisom"), "sound"],
  [bytes("ab", 0, "c"), "binary"],
  [bytes("phone,name\n"), null],
  [bytes(0xef, 0xbb, 0xbf, "phone"), null],
  [bytes(0xff, 0xfe, "p", 0, "h", 0), null],
])("%o is told for what it is", (head, kind) => expect(kindOf(head)).toBe(kind));

it("reads what spreadsheets call Unicode text", async () => {
  expect(encodingOf(bytes(0xfe, 0xff))).toBe("utf-16be");
  expect(await textOf(new File([bytes(0xff, 0xfe, "p", 0, "é", 0) as BlobPart], "a.txt"))).toBe("pé");
});
