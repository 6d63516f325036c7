import { describe, expect, it } from "vitest";
import { type Command, commandOf } from "./commands";
import { matching } from "./palette";

const run = (): void => undefined;
const LIST: Command[] = [
  { id: "calls", label: "Calls", keys: "g c", run },
  { id: "shell r", label: "Reload", keys: "r", run },
  { id: "page r", label: "Reply", keys: "r", run },
  { id: "palette", label: "Commands", keys: "mod+k", run },
];

function press(key: string, at = 0, init: KeyboardEventInit = {}, target: HTMLElement = document.body): string | undefined {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, ...init });
  target.dispatchEvent(event);
  return commandOf(event, at, LIST)?.id;
}

describe("shortcuts", () => {
  it("takes two keys one after the other, if they come soon", () => {
    expect([press("g", 0), press("c", 500)]).toEqual([undefined, "calls"]);
    expect([press("g", 10_000), press("c", 12_000)]).toEqual([undefined, undefined]);
  });
  it("prefers the page's to the shell's", () => expect(press("r", 30_000)).toBe("page r"));
  it("leaves Alt to the browser", () => expect(press("r", 40_000, { altKey: true })).toBeUndefined());
  it("takes no letter from who is typing, but Ctrl K", () => {
    const input = document.body.appendChild(document.createElement("textarea"));
    expect(press("r", 50_000, {}, input)).toBeUndefined();
    expect(press("k", 50_001, { ctrlKey: true }, input)).toBe("palette");
  });
});

describe("the palette", () => {
  it("finds by all words, folded, what begins with them first", () => {
    const list: Command[] = [
      { id: "a", label: "Buscar números", run },
      { id: "b", label: "Números", run },
    ];
    expect(matching(list, "numero").map((each) => each.id)).toEqual(["b", "a"]);
    expect(matching(list, "numeros buscar").map((each) => each.id)).toEqual(["a"]);
  });
});
