/** JSON as lines that are folded and cut; how they look is `json.tsx`'s matter. */

export type Kind = "text" | "number" | "word" | "open" | "close";

export interface Line {
  /** The value's place, for folding: unique in a document. */
  path: string;
  depth: number;
  name: string | undefined;
  kind: Kind;
  /** `"a text"`, `12`, `{`, `]`; a folded one is whole: `{…}`. */
  text: string;
  /** Members of an object or elements of a list that is folded. */
  folded: number | undefined;
  isLast: boolean;
}

/** What is shown before one asks for all: characters, as they are counted here. */
export const MOST_CHARACTERS = 2048;
/** What is shown at all: beyond it a browser gets slow, and a copy is better. */
export const MOST_LINES = 5000;

/** The lines of a value. `isFolded` says which places are folded; `isCut` that there is more than these lines. */
export function linesOf(value: unknown, isFolded: (path: string, depth: number) => boolean, most = MOST_CHARACTERS): { lines: Line[]; isCut: boolean } {
  const lines: Line[] = [];
  let left = most;
  let isCut = false;
  const add = (line: Line): boolean => {
    if (left <= 0 || lines.length >= MOST_LINES) {
      isCut = true;
      return false;
    }
    const cost = line.depth * 2 + (line.name?.length ?? 0) + line.text.length;
    isCut ||= cost > left && line.text.length > left;
    lines.push(cost > left && line.text.length > left ? { ...line, text: `${line.text.slice(0, left)}…` } : line);
    left -= cost;
    return true;
  };
  const walk = (each: unknown, path: string, depth: number, name: string | undefined, isLast: boolean): boolean => {
    const line = { path, depth, name, isLast, folded: undefined };
    if (typeof each !== "object" || each === null) return add({ ...line, kind: kindOf(each), text: JSON.stringify(each) ?? "null" });
    const isList = Array.isArray(each);
    const members: [string, unknown][] = isList ? each.map((one: unknown, at) => [String(at), one]) : Object.entries(each);
    const [open, close] = isList ? ["[", "]"] : ["{", "}"];
    if (members.length === 0) return add({ ...line, kind: "word", text: open + close });
    if (isFolded(path, depth)) return add({ ...line, kind: "open", text: `${open}…${close}`, folded: members.length });
    if (!add({ ...line, kind: "open", text: open })) return false;
    for (const [at, [key, one]] of members.entries()) if (!walk(one, `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, depth + 1, isList ? undefined : key, at === members.length - 1)) return false;
    return add({ ...line, name: undefined, kind: "close", text: close });
  };
  walk(value, "", 0, undefined, true);
  return { lines, isCut };
}

function kindOf(value: unknown): Kind {
  if (typeof value === "string") return "text";
  return typeof value === "number" ? "number" : "word";
}

/** A text as the JSON that it is, or as itself. */
export function parsedOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
