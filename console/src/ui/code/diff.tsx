/** Two texts side by side, equal lines folded; one above the other on a phone. Import it lazily: 105 KB. */
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { useTexts } from "@/i18n";
import { base, colours } from "./setup";

export interface DiffProps {
  before: string;
  after: string;
  beforeLabel: string;
  afterLabel: string;
  isJson?: boolean;
}

const NARROW = "(max-width: 52rem)";

export default function Diff({ before, after, beforeLabel, afterLabel, isJson = false }: DiffProps) {
  const t = useTexts("forms");
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const parent = holder.current;
    if (!parent) return undefined;
    const phrases = EditorState.phrases.of({ "$ unchanged lines": t.equalLines("$") });
    const side = (label: string) => [base(label), phrases, isJson ? [lineNumbers(), colours()] : [], EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ role: "textbox", "aria-multiline": "true", "aria-readonly": "true" })];
    const collapseUnchanged = { margin: 2, minSize: 5 };
    if (matchMedia(NARROW).matches) {
      const view = new EditorView({ parent, doc: after, extensions: [side(afterLabel), unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged })] });
      return () => view.destroy();
    }
    const view = new MergeView({ parent, a: { doc: before, extensions: side(beforeLabel) }, b: { doc: after, extensions: side(afterLabel) }, gutter: true, collapseUnchanged });
    return () => view.destroy();
  }, [before, after, beforeLabel, afterLabel, isJson, t]);
  return <div ref={holder} className="overflow-auto rounded-card border border-line [&_.cm-mergeView]:max-h-[65dvh]" />;
}
