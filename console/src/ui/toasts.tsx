/** Toasts where nothing is pressed next: over the menu, on a phone at the top. Read out by screen readers. */
import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useTexts } from "@/i18n";
import { dismiss, shown } from "./toast";

/** Where toasts appear; once, in the shell. */
export default function Toasts() {
  const t = useTexts("shell");
  const toasts = useSyncExternalStore(shown.watch, shown.now);
  return (
    <div role="region" aria-label={t.notices} className="pointer-events-none print:hidden fixed inset-x-3 bottom-3 z-50 flex flex-col items-start gap-2 max-md:top-3 max-md:bottom-auto">
      <div aria-live="polite" className="contents">
        {toasts.map((each) => (
          <div key={each.id} className={`pointer-events-auto flex w-full max-w-sm animate-[hum-rise_0.18s_ease-out] items-start gap-3 rounded-card border bg-raised p-3 shadow-float ${each.kind === "refusal" ? "border-bad" : "border-line"}`}>
            <div className="min-w-0 flex-1">
              <p className={each.kind === "refusal" ? "font-medium text-bad" : "font-medium"}>{each.text}</p>
              {each.detail && <p className="mt-0.5 text-xs text-dim">{each.detail}</p>}
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
