/** Where in a JSON text the value of a path stands, so that a refusal is shown at its place. */
import { jsonLanguage } from "@codemirror/lang-json";
import type { SyntaxNode, Tree } from "@lezer/common";
import type { Step } from "../schema-form/path";

export interface Place {
  from: number;
  to: number;
}

/** The value at the end of the steps; where it is not there, the beginning of what should hold it; without steps, where the text can't be read. */
export function placeOf(text: string, steps: readonly Step[]): Place {
  const tree = jsonLanguage.parser.parse(text);
  if (steps.length === 0) return faultOf(tree, text);
  let node: SyntaxNode | null = tree.topNode.firstChild;
  let around = node;
  for (const step of steps) {
    around = node ?? around;
    node = node && (typeof step === "number" ? element(node, step) : member(node, step, text));
  }
  if (node) return { from: node.from, to: node.to };
  const from = around?.from ?? 0;
  return { from, to: Math.min(from + 1, text.length) };
}

/** The first place that is no JSON; the first character if there is none. */
function faultOf(tree: Tree, text: string): Place {
  let at: number | null = null;
  tree.iterate({
    enter: (node) => {
      if (at === null && node.type.isError) at = node.from;
      return at === null;
    },
  });
  const from = Math.min(at ?? 0, Math.max(0, text.length - 1));
  return { from, to: Math.min(from + 1, text.length) };
}

function member(object: SyntaxNode, name: string, text: string): SyntaxNode | null {
  if (object.name !== "Object") return null;
  for (const property of object.getChildren("Property")) {
    const key = property.getChild("PropertyName");
    if (key && text.slice(key.from, key.to) === JSON.stringify(name)) return property.lastChild;
  }
  return null;
}

function element(array: SyntaxNode, at: number): SyntaxNode | null {
  if (array.name !== "Array") return null;
  let seen = 0;
  for (let child = array.firstChild; child; child = child.nextSibling) {
    if (/^[[\],]$/.test(child.name)) continue;
    if (seen === at) return child;
    seen += 1;
  }
  return null;
}
