/** A value that is copied with a click: ids, secrets that are shown once, snippets. */
import { Check, Copy as CopyIcon } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";

export function Copy({ value, label, isSecret = false }: { value: string; label?: string; isSecret?: boolean }) {
  const t = useTexts("shell");
  const [isCopied, setCopied] = useState(false);
  return (
    <span className={`inline-flex max-w-full items-center gap-1 rounded-control bg-sunken py-0.5 pr-1 pl-2 font-mono text-[13px] ${isSecret ? "border border-warn" : ""}`}>
      <span className="min-w-0 break-all">{value}</span>
      <button
        type="button"
        aria-label={isCopied ? t.copied : (label ?? t.copy)}
        title={isCopied ? t.copied : (label ?? t.copy)}
        className="rounded p-1 text-dim hover:bg-hover hover:text-ink"
        onClick={() => {
          void navigator.clipboard.writeText(value).then(() => {
            setCopied(true);
            setTimeout(() => setCopied(false), 1500);
          });
        }}
      >
        {isCopied ? <Check size={14} aria-hidden /> : <CopyIcon size={14} aria-hidden />}
      </button>
    </span>
  );
}
