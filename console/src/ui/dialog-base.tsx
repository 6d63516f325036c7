/** The dialog itself; `dialog.tsx` loads it when one is first opened. */
import { CSPProvider } from "@base-ui/react/csp-provider";
import { Dialog as Base } from "@base-ui/react/dialog";
import { X } from "lucide-react";
import { useRef } from "react";
import { useTexts } from "@/i18n";
import { nonce } from "@/lib/nonce";
import type { DialogProps } from "./dialog";

/** Where one begins: the first field or button, before which only the cross stands. */
const FIRST = ":is(input, select, textarea, button, a[href]):not([data-closes], [disabled], [aria-disabled=true])";
const WIDTH = { sm: "max-w-md", md: "max-w-xl", lg: "max-w-4xl" };

/** A dialog that keeps the focus and gives it back; on a phone it is a sheet from below. */
export default function DialogBase({ isOpen, onClose, title, description, children, actions, size = "sm", isOnce = false }: DialogProps) {
  const t = useTexts("shell");
  const popup = useRef<HTMLDivElement>(null);
  return (
    <CSPProvider nonce={nonce()}>
      <Base.Root open={isOpen} onOpenChange={(open, { reason }) => !open && (!isOnce || reason === "close-press") && onClose()}>
        <Base.Portal>
          <Base.Backdrop className="fixed inset-0 z-40 bg-[#00000066]" />
          <Base.Popup ref={popup} initialFocus={(by) => by === "touch" || (popup.current?.querySelector<HTMLElement>(FIRST) ?? true)} className={`fixed z-40 flex max-h-[88dvh] w-full flex-col rounded-card border border-line bg-raised shadow-float outline-none md:top-1/2 md:left-1/2 md:-translate-1/2 max-md:inset-x-0 max-md:bottom-0 max-md:rounded-b-none ${WIDTH[size]} max-md:max-w-none`}>
            <div className="flex items-start gap-3 px-5 pt-4">
              <div className="min-w-0 flex-1">
                <Base.Title className="text-base font-semibold">{title}</Base.Title>
                {description && <Base.Description className="mt-1 text-dim">{description}</Base.Description>}
              </div>
              <Base.Close data-closes aria-label={t.close} className="rounded-control p-1 text-dim hover:bg-hover">
                <X size={17} aria-hidden />
              </Base.Close>
            </div>
            <div className="min-h-0 flex-1 overflow-auto px-5 py-4">{children}</div>
            {actions && <div className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-3">{actions}</div>}
          </Base.Popup>
        </Base.Portal>
      </Base.Root>
    </CSPProvider>
  );
}
