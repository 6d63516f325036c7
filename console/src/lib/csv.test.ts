import { describe, expect, it } from "vitest";
import { toCsv } from "./csv";

describe("CSV", () => {
  it("quotes what needs it", () => expect(toCsv(["a", "b"], [['say "hi", twice', 1], ["two\nlines", null]])).toBe('a,b\r\n"say ""hi"", twice",1\r\n"two\nlines",\r\n'));
  it("leaves no formula to a spreadsheet", () => expect(toCsv(["a"], [["=HYPERLINK(1)"], ["+1"], ["-2"], [-2]])).toBe("a\r\n'=HYPERLINK(1)\r\n'+1\r\n'-2\r\n-2\r\n"));
  it("leaves none to one that splits by another delimiter, or reads wide signs", () =>
    expect(toCsv(["a"], [["\uff1d1+1"], ["x;=1+1"], ["x\ty|@SUM(1)"], ['"=1']])).toBe(`a\r\n'\uff1d1+1\r\nx;'=1+1\r\nx\ty|'@SUM(1)\r\n"'""=1"\r\n`));
});
