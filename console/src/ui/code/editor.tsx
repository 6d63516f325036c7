/** An editor for JSON. Import it lazily: 107 KB. */
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { stepsOf } from "../schema-form/path";
import { placeOf } from "./places";
import { base, jsonEditing } from "./setup";

export interface JsonEditorProps {
  value: string;
  onChange: (next: string) => void;
  label: string;
  /** Refusals by path; each is marked where it belongs. */
  errors: readonly { field: string; reason: string }[];
  isReadOnly?: boolean;
}

/** What is typed is told at once; `value` replaces the text only where it differs, and keeps the cursor. */
export default function JsonEditor({ value, onChange, label, errors, isReadOnly = false }: JsonEditorProps) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const tell = useRef(onChange);
  const first = useRef({ value, label });
  const access = useRef(new Compartment());
  useEffect(() => {
    tell.current = onChange;
  }, [onChange]);
  useEffect(() => {
    if (!holder.current) return undefined;
    const made = new EditorView({
      parent: holder.current,
      state: EditorState.create({
        doc: first.current.value,
        extensions: [
          base(first.current.label),
          jsonEditing(),
          lintGutter(),
          access.current.of([]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged && update.transactions.some((each) => each.isUserEvent("input") || each.isUserEvent("delete") || each.isUserEvent("undo") || each.isUserEvent("redo") || each.isUserEvent("move"))) tell.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, []);
  useEffect(() => {
    view.current?.dispatch({ effects: access.current.reconfigure(isReadOnly ? EditorState.readOnly.of(true) : []) });
  }, [isReadOnly]);
  useEffect(() => {
    const at = view.current;
    if (!at) return;
    const shown = at.state.doc.toString();
    if (shown !== value) at.dispatch({ changes: smallest(shown, value) });
  }, [value]);
  useEffect(() => {
    const at = view.current;
    if (!at) return;
    const text = at.state.doc.toString();
    at.dispatch(setDiagnostics(at.state, errors.map((each) => ({ ...placeOf(text, stepsOf(each.field)), severity: "error" as const, message: each.reason }))));
  }, [errors, value]);
  return <div ref={holder} className="h-full min-h-0 overflow-hidden rounded-card border border-line [&>.cm-editor]:h-full" />;
}

/** The one change between two texts, so that the cursor stays where it is. */
function smallest(from: string, to: string): { from: number; to: number; insert: string } {
  let start = 0;
  while (start < from.length && from[start] === to[start]) start += 1;
  let end = 0;
  while (end < from.length - start && end < to.length - start && from.at(-1 - end) === to.at(-1 - end)) end += 1;
  return { from: start, to: from.length - end, insert: to.slice(start, to.length - end) };
}
