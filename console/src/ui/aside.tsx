/** What is open beside a list: takes the focus as it opens, fills a phone's screen, closes with Escape. */
import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { useTexts } from "@/i18n";
import { IconButton } from "./button";
import { PanelBoundary } from "./panel";

export function Aside({ title, label, badge, onClose, children, actions }: { title: ReactNode; label: string; badge?: ReactNode; onClose: () => void; children: ReactNode; actions?: ReactNode }) {
  const t = useTexts("shell");
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector('[role="dialog"], [role="alertdialog"]')) return;
      const { target } = event;
      if (target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))) return;
      onClose();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [onClose]);
  return (
    <aside
      ref={panel}
      tabIndex={-1}
      data-quiet-focus
      aria-label={label}
      className="flex min-h-0 w-[30rem] shrink-0 flex-col border-t border-l border-line bg-surface outline-none max-lg:w-96 max-md:w-full max-md:border-l-0"
    >
      <div className="flex items-center gap-2 border-b border-line py-1.5 pr-2 pl-4">
        <h2 className="min-w-0 flex-1 truncate">{title}</h2>
        {badge}
        <IconButton icon={X} label={t.close} onClick={onClose} />
      </div>
      <div className="min-h-0 flex-1 overflow-auto p-4">
        <PanelBoundary>{children}</PanelBoundary>
      </div>
      {actions && <div className="flex flex-wrap justify-end gap-2 border-t border-line px-4 py-2.5">{actions}</div>}
    </aside>
  );
}
