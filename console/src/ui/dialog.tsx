/** Dialogs, and the question before what hurts. */
import { type ReactNode, Suspense, useState } from "react";
import type { Permission } from "@/api/me";
import { useTexts } from "@/i18n";
import { Button } from "./button";
import { TextField } from "./field";
import { part } from "./part";

export interface DialogProps {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children?: ReactNode;
  /** The buttons at its end. */
  actions?: ReactNode;
  size?: "sm" | "md" | "lg";
  /** What it shows is shown once: Esc and a click outside leave it open, its buttons close it. */
  isOnce?: boolean;
}

const load = (): Promise<typeof import("./dialog-base")> => import("./dialog-base");
const DialogBase = part(load);

/** Load it where one will be wanted soon, so that it is there without a network. */
export function loadDialog(): void {
  load().catch(() => undefined); // it is loaded when it is opened
}

/** A dialog that keeps the focus and gives it back; on a phone it is a sheet from below. Its 24 KB come when one is first opened. */
export function Dialog(props: DialogProps) {
  const [isLoaded, setLoaded] = useState(props.isOpen);
  if (props.isOpen && !isLoaded) setLoaded(true);
  if (!isLoaded) return null;
  return (
    <Suspense>
      <DialogBase {...props} />
    </Suspense>
  );
}

export interface ConfirmProps {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  /** What will happen, and what can't be undone. */
  children: ReactNode;
  /** The verb on the button: "Delete flow". */
  verb: string;
  onConfirm: () => void;
  isBusy?: boolean;
  needs?: Permission;
  /** What must be typed first, for what can't be undone at all. */
  typed?: string;
}

export function Confirm({ isOpen, onClose, title, children, verb, onConfirm, isBusy = false, needs, typed }: ConfirmProps) {
  const t = useTexts("shell");
  const [text, setText] = useState("");
  const off = typed && text.trim() !== typed ? t.typeFirst(typed) : null;
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title={title}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="danger" busy={isBusy} off={off} {...(needs ? { needs } : {})} onClick={onConfirm}>
            {verb}
          </Button>
        </>
      }
    >
      <div className="space-y-3">
        <div>{children}</div>
        {typed && <TextField label={t.typeFirst(typed)} value={text} onChange={(event) => setText(event.target.value)} autoComplete="off" />}
      </div>
    </Dialog>
  );
}
