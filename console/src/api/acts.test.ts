import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { describe, expect, it, vi } from "vitest";
import { UnderWay, saySame, useAct } from "./acts";

const file = new File(["a"], "a.txt");

describe("what two people ask", () => {
  it.each<[unknown, unknown, boolean]>([
    [undefined, undefined, true],
    ["note", "note", true],
    ["note", "Note", false],
    [null, undefined, false],
    [0, false, false],
    [{ a: [1, { b: null }] }, { a: [1, { b: null }] }, true],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, true],
    [{ a: undefined }, {}, false],
    [{ a: undefined }, { b: undefined }, false],
    [[1, 2], [2, 1], false],
    [[], {}, false],
    [file, file, true],
    [file, new File(["b"], "b.txt"), false],
    [{ file }, { file: new File(["a"], "a.txt") }, false],
    [new Date(0), new Date(1), false],
  ])("%j and %j", (a, b, isSame) => {
    expect(saySame(a, b)).toBe(isSame);
    expect(saySame(b, a)).toBe(isSame);
  });

  it("is begun once, and again when it is over", () => {
    const underWay = new UnderWay<{ id: string }>();
    expect(underWay.begin({ id: "a" })).toBe(true);
    expect(underWay.begin({ id: "a" })).toBe(false);
    expect(underWay.begin({ id: "b" })).toBe(true);
    underWay.end({ id: "a" });
    expect(underWay.begin({ id: "a" })).toBe(true);
    expect(underWay.begin({ id: "b" })).toBe(false);
  });
});

/** React, and the queries' news, which come a moment later. */
const settled = (run: () => void): Promise<void> =>
  act(async () => {
    run();
    await new Promise((resolve) => setTimeout(resolve, 0));
  });

/** A page with one button, which asks for what it is given; `finish` ends the oldest that is under way. */
async function page(): Promise<{ click: (asked: string) => void; sent: string[]; finish: (how?: "well" | "badly") => Promise<void> }> {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  const sent: string[] = [];
  const ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let click: (asked: string) => void = () => undefined;
  function Shown() {
    const { mutate } = useAct<string, void>({
      mutationFn: (asked) =>
        new Promise((resolve, reject) => {
          sent.push(asked);
          ends.push({ resolve, reject });
        }),
    });
    click = mutate;
    return null;
  }
  await act(async () => createRoot(document.createElement("div")).render(createElement(QueryClientProvider, { client: new QueryClient() }, createElement(Shown))));
  const finish = (how = "well"): Promise<void> =>
    settled(() => {
      const end = ends.shift();
      if (how === "well") end?.resolve();
      else end?.reject(new Error("refused"));
    });
  return { click: (asked) => click(asked), sent, finish };
}

describe("a button that is clicked twice", () => {
  it("acts once, though the page has not changed in between", async () => {
    const { click, sent, finish } = await page();
    await settled(() => {
      click("save");
      click("save");
    });
    await settled(() => click("save"));
    expect(sent).toEqual(["save"]);
    await finish();
    await settled(() => click("save"));
    expect(sent).toEqual(["save", "save"]);
  });

  it("does two things that are not the same", async () => {
    const { click, sent } = await page();
    await settled(() => {
      click("one row");
      click("another");
    });
    expect(sent).toEqual(["one row", "another"]);
  });

  it("tries again after a refusal", async () => {
    const { click, sent, finish } = await page();
    await settled(() => click("save"));
    await finish("badly");
    await settled(() => click("save"));
    expect(sent).toEqual(["save", "save"]);
  });
});
