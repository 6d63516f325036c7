/** What our editors share: colours from the page's tokens, keys, and the nonce under which their styles are allowed. */
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { nonce } from "@/lib/nonce";

const THEME = EditorView.theme({
  "&": { fontSize: "12.5px", backgroundColor: "var(--color-surface)", color: "var(--color-ink)" },
  "&.cm-focused": { outline: "2px solid var(--color-accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--color-ink)" },
  ".cm-cursor": { borderLeftColor: "var(--color-ink)" },
  ".cm-gutters": { backgroundColor: "var(--color-surface)", color: "var(--color-dim)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--color-hover)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--color-accent-soft)" },
  ".cm-tooltip": { backgroundColor: "var(--color-raised)", color: "var(--color-ink)", border: "1px solid var(--color-line)", borderRadius: "7px" },
  ".cm-diagnostic": { fontFamily: "var(--font-sans)" },
  ".cm-collapsedLines": { backgroundColor: "var(--color-sunken)", backgroundImage: "none", color: "var(--color-dim)", fontFamily: "var(--font-sans)", padding: "2px 8px" },
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: "none" },
  ".cm-changedLine": { backgroundColor: "var(--color-hover)" },
  "&.cm-merge-a .cm-changedLine": { backgroundColor: "color-mix(in oklab, var(--color-bad-soft) 55%, transparent)" },
  "&.cm-merge-b .cm-changedLine": { backgroundColor: "color-mix(in oklab, var(--color-good-soft) 55%, transparent)" },
  "&.cm-merge-a .cm-changedText, .cm-deletedChunk .cm-deletedText": { background: "var(--color-bad-soft)", borderBottom: "1px solid var(--color-bad)" },
  "&.cm-merge-b .cm-changedText": { background: "var(--color-good-soft)", borderBottom: "1px solid var(--color-good)" },
});

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--color-info)" },
  { tag: tags.string, color: "var(--color-accent)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--color-warn)" },
]);

export function base(label: string): Extension {
  const allowed = nonce();
  return [
    allowed ? EditorView.cspNonce.of(allowed) : [],
    THEME,
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
  ];
}

export function jsonEditing(): Extension {
  return [lineNumbers(), history(), indentOnInput(), bracketMatching(), keymap.of([...defaultKeymap, ...historyKeymap]), colours()];
}

export function colours(): Extension {
  return [json(), syntaxHighlighting(COLOURS, { fallback: true })];
}
