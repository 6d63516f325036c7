/** What opens beside a button closes when one goes elsewhere, by pointer or by keys, and on Escape gives the focus back to it. */
import { type RefObject, useEffect } from "react";

/** `box` is what opens; the button is beside it, in one element that holds nothing else. */
export function useLeaving(box: RefObject<HTMLElement | null>, close: () => void): void {
  useEffect(() => {
    const around = box.current?.parentElement;
    const isOutside = (target: EventTarget | null): boolean => target instanceof Node && !around?.contains(target);
    const left = (event: Event): void => {
      if (isOutside(event.target)) close();
    };
    const escaped = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      around?.querySelector<HTMLElement>("[aria-expanded]")?.focus();
      close();
    };
    document.addEventListener("pointerdown", left);
    document.addEventListener("focusin", left);
    around?.addEventListener("keydown", escaped);
    return () => {
      document.removeEventListener("pointerdown", left);
      document.removeEventListener("focusin", left);
      around?.removeEventListener("keydown", escaped);
    };
  }, [box, close]);
}
