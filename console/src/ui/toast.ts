/** Short news, with an undo where there is one; `toasts.tsx` shows them. */
import type { ApiError } from "@/api/client";

export interface Toast {
  id: number;
  kind: "done" | "refusal";
  text: string;
  error?: ApiError;
  action?: { label: string; run: () => void } | undefined;
}

const SHOWN_MS = { done: 6000, refusal: 12_000 };
let toasts: readonly Toast[] = [];
let last = 0;
const watchers = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const watcher of watchers) watcher();
}

function show(toast: Omit<Toast, "id">): void {
  const id = ++last;
  set([...toasts.slice(-2), { ...toast, id }]);
  setTimeout(() => dismiss(id), SHOWN_MS[toast.kind]);
}

export function dismiss(id: number): void {
  set(toasts.filter((each) => each.id !== id));
}

export const toast = {
  /** Something was done; `undo` is offered while the toast is shown. */
  done(text: string, action?: { label: string; run: () => void }): void {
    show({ kind: "done", text, action });
  },
  /** What holds until it is over; returns what takes it away. */
  stays(text: string, action: { label: string; run: () => void }): () => void {
    const id = ++last;
    set([...toasts.slice(-2), { id, kind: "refusal", text, action }]);
    return () => dismiss(id);
  },
  /** A refusal that belongs to no field: what it says, its fields, and the id by which it is found in the logs. */
  refusal(error: ApiError): void {
    show({ kind: "refusal", text: error.message, error });
  },
};

/** What is shown, and who is told when that changes. */
export const shown = {
  now: (): readonly Toast[] => toasts,
  watch(watcher: () => void): () => void {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  },
};
