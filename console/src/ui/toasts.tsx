/** Toasts where nothing is pressed next: over the menu and above the person's own entry, on a phone at the top. Read out by screen readers. */
import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import type { ApiError } from "@/api/client";
import { useTexts } from "@/i18n";
import { fieldSentences } from "@/lib/field-words";
import { dismiss, shown } from "./toast";
import "./unloaded";

/** Where toasts appear; once, in the shell. */
export default function Toasts() {
  const t = useTexts("shell");
  const toasts = useSyncExternalStore(shown.watch, shown.now);
  return (
    <div role="region" aria-label={t.notices} className="pointer-events-none print:hidden fixed inset-x-3 bottom-18 z-50 flex flex-col items-start gap-2 max-md:top-3 max-md:bottom-auto">
      <div aria-live="polite" className="contents">
        {toasts.map((each) => (
          <div key={each.id} className={`pointer-events-auto flex w-full max-w-sm animate-[hum-rise_0.18s_ease-out] items-start gap-3 rounded-card border bg-raised p-3 shadow-float ${each.kind === "refusal" ? "border-bad" : "border-line"}`}>
            <div className="min-w-0 flex-1">
              <p className={each.kind === "refusal" ? "font-medium text-bad" : "font-medium"}>{each.text}</p>
              {each.error && <Detail error={each.error} />}
            </div>
            {each.action && (
              <button
                type="button"
                className="rounded-control px-2 py-0.5 font-medium text-accent hover:bg-hover"
                onClick={() => {
                  each.action?.run();
                  dismiss(each.id);
                }}
              >
                {each.action.label}
              </button>
            )}
            <button type="button" aria-label={t.dismiss} className="rounded-control p-0.5 text-dim hover:bg-hover" onClick={() => dismiss(each.id)}>
              <X size={16} aria-hidden />
            </button>
          </div>
        ))}
      </div>
    </div>
  );
}

/** What is wrong with each field, by words, and the request's id. */
function Detail({ error }: { error: ApiError }) {
  const t = useTexts("shell");
  const parts = [...fieldSentences(error), error.requestId && t.request(error.requestId)].filter(Boolean);
  return parts.length > 0 && <p className="mt-0.5 text-xs text-dim">{parts.join(" · ")}</p>;
}
