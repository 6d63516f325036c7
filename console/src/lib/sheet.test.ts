import { describe, expect, it } from "vitest";
import { pastedNumbers, phoneColumn, readSheet, variableName } from "./sheet";

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
