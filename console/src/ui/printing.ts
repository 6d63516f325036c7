/** Whether the page is being put on paper: what only shows what is in sight shows all of it then. */
import { useSyncExternalStore } from "react";

let isPrinting = false;

function watch(watcher: () => void): () => void {
  const begin = (): void => {
    isPrinting = true;
    watcher();
  };
  const end = (): void => {
    isPrinting = false;
    watcher();
  };
  addEventListener("beforeprint", begin);
  addEventListener("afterprint", end);
  return () => {
    removeEventListener("beforeprint", begin);
    removeEventListener("afterprint", end);
  };
}

export function usePrinting(): boolean {
  return useSyncExternalStore(watch, () => isPrinting);
}
