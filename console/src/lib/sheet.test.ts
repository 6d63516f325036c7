import { describe, expect, it } from "vitest";
import { SheetReader, pastedNumbers, phoneColumn, readSheet, readSheetOf, variableName } from "./sheet";

describe("sheets", () => {
  it("reads quotes, line breaks in cells, and a byte order mark", () => {
    expect(readSheet('\uFEFFphone,note\r\n+13175550001,"He said ""hi"",\nthen left"\r\n\r\n')).toEqual({
      header: ["phone", "note"],
      rows: [["+13175550001", 'He said "hi",\nthen left']],
    });
  });
  it.each([
    ["a;b\n1;2", ";"],
    ["a\tb\n1\t2", "tab"],
  ])("finds the separator of %j", (text) => expect(readSheet(text)).toEqual({ header: ["a", "b"], rows: [["1", "2"]] }));
  it("reads the same however it is cut", () => {
    const text = '\uFEFFa;b\r\n"x ""y""";"1\r\n2"\r\r\n;\r\nlast;"q"\n"end""";';
    const whole = readSheet(text);
    expect(whole.rows).toEqual([['x "y"', "1\r\n2"], ["last", "q"], ['end"', ""]]);
    for (let size = 1; size <= text.length; size += 1) {
      const reader = new SheetReader();
      for (let at = 0; at < text.length; at += size) reader.feed(text.slice(at, at + size));
      expect(reader.end(), `pieces of ${size}`).toEqual(whole);
    }
  });
  it("reads a file up to a number of rows", async () => {
    const file = new File(["phone\n", "1\n".repeat(300_000)], "a.csv");
    expect((await readSheetOf(file, 300_000))?.rows).toHaveLength(300_000);
    expect(await readSheetOf(file, 299_999)).toBeNull();
    expect(await readSheetOf(new File(["phone\n"], "b.csv"), 5)).toEqual({ header: ["phone"], rows: [] });
    expect(await readSheetOf(new File([], "c.csv"), 5)).toEqual({ header: [], rows: [] });
  });
  it("keeps a last cell without a line's end", () => expect(readSheet("a,b\n1,").rows).toEqual([["1", ""]]));
});

describe("columns", () => {
  it("names variables as texts call them", () => expect([variableName("First name"), variableName(" Año (2026) ")]).toEqual(["first_name", "ano_2026"]));
  it("finds the numbers by name or by content", () => {
    expect(phoneColumn(readSheet("Name,Mobile\nAna,1"))).toBe(1);
    expect(phoneColumn(readSheet("who,x\nAna,(317) 555-0001"))).toBe(1);
    expect(phoneColumn(readSheet("who,x\nAna,yes"))).toBe(-1);
  });
  it("takes each pasted number once", () => expect(pastedNumbers("+13175550001, +13175550002\n+13175550001\n")).toEqual(["+13175550001", "+13175550002"]));
});
