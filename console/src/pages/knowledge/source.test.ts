import { describe, expect, it } from "vitest";
import { chosen, formatOf, titleOf, titleOfUrl } from "./source";

describe("a document's source", () => {
  it.each([
    ["Prices 2026.PDF", "pdf", "Prices 2026"],
    ["opening_hours.md", "markdown", "opening hours"],
    ["archive.tar.gz", undefined, "archive.tar.gz"],
    ["README", undefined, "README"],
  ])("%s", (file, format, title) => expect([formatOf(file), titleOf(file)]).toEqual([format, title]));
  it("never names longer than a name may be", () => expect(titleOf(`${"a".repeat(300)}.md`)).toHaveLength(120));
  it("names addresses by host and path", () => expect([titleOfUrl("https://example.com/faq"), titleOfUrl("https://example.com/"), titleOfUrl("exa")]).toEqual(["example.com/faq", "example.com", ""]));
  it.each([
    [0, 20, 0, 0],
    [20, 20, 20, 0],
    [23, 20, 20, 3],
    [2, 1, 1, 1],
  ])("of %s files, up to %s are taken", (count, most, taken, left) => {
    const found = chosen(Array.from({ length: count }, (_, at) => new File(["x"], String(at))), most);
    expect([found.files.map((each) => each.name), found.left]).toEqual([Array.from({ length: taken }, (_, at) => String(at)), left]);
  });
});
