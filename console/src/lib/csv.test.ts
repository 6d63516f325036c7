import { describe, expect, it } from "vitest";
import { toCsv } from "./csv";

describe("CSV", () => {
  it("quotes what needs it", () => expect(toCsv(["a", "b"], [['say "hi", twice', 1], ["two\nlines", null]])).toBe('a,b\r\n"say ""hi"", twice",1\r\n"two\nlines",\r\n'));
  it("leaves no formula to a spreadsheet", () => expect(toCsv(["a"], [["=HYPERLINK(1)"], ["+1"], ["-2"], [-2]])).toBe("a\r\n'=HYPERLINK(1)\r\n'+1\r\n'-2\r\n-2\r\n"));
});
