/** Files that are dropped where none are taken. */
import { useEffect } from "react";

/** While a dialog is open, a file dropped beside the place for it is not opened by the browser, which would leave the page. */
export function useNoStrayFiles(): void {
  useEffect(() => {
    const keep = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    };
    window.addEventListener("dragover", keep);
    window.addEventListener("drop", keep);
    return () => {
      window.removeEventListener("dragover", keep);
      window.removeEventListener("drop", keep);
    };
  }, []);
}
