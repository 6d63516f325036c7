/** A list by keyboard: j and k choose a row, Enter opens it; the row is scrolled into sight. */
import { type RefObject, useCallback, useEffect, useMemo, useState } from "react";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";

export interface RowKeys {
  /** The id of the row that is chosen. */
  chosen: string | undefined;
  isChosen: (row: { id: string }) => boolean;
}

/** `around` is an element that holds the table; its first scrolling region is the list. */
export function useRowKeys<R extends { id: string }>(rows: readonly R[], offset: number, around: RefObject<HTMLElement | null>, open: (row: R) => void, rowPx = 44): RowKeys {
  const t = useTexts("shell");
  const [chosen, setChosen] = useState<string>();
  const move = useCallback(
    (by: number) => {
      const at = rows.findIndex((row) => row.id === chosen);
      const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by));
      const row = rows[next];
      if (!row) return;
      setChosen(row.id);
      const list = around.current?.querySelector<HTMLElement>("[role=region]");
      if (!list) return;
      const [top, head] = [(offset + next) * rowPx, 34];
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + rowPx + head > list.scrollTop + list.clientHeight) list.scrollTop = top + rowPx + head - list.clientHeight;
    },
    [rows, offset, chosen, around, rowPx],
  );
  const commands = useMemo<Command[]>(
    () => [
      { id: "row next", label: t.nextRow, keys: "j", run: () => move(1) },
      { id: "row before", label: t.rowBefore, keys: "k", run: () => move(-1) },
    ],
    [t, move],
  );
  useCommands(commands);
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.key !== "Enter" || event.defaultPrevented) return;
      if (event.target instanceof HTMLElement && /^(A|BUTTON|INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      if (document.querySelector('[role="dialog"]')) return;
      const row = rows.find((each) => each.id === chosen);
      if (row) open(row);
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [rows, chosen, open]);
  return { chosen, isChosen: (row) => row.id === chosen };
}
