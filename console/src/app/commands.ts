/** Shortcuts and the palette's commands: pages bring theirs while they are shown. */
import { useEffect, useSyncExternalStore } from "react";

export interface Command {
  id: string;
  label: string;
  /** One key, `g c` for one after the other, `mod+k` for Ctrl or Command. Single keys never act while one types. */
  keys?: string;
  run: () => void;
  group?: string;
}

let commands: readonly Command[] = [];
const watchers = new Set<() => void>();
let pendingKey = "";
let pendingAt = 0;
const SEQUENCE_MS = 1200;

function set(next: readonly Command[]): void {
  commands = next;
  for (const watcher of watchers) watcher();
}

/** Offer commands while the component is shown. Memoize the list. */
export function useCommands(list: readonly Command[]): void {
  useEffect(() => {
    set([...commands, ...list]);
    return () => set(commands.filter((each) => !list.includes(each)));
  }, [list]);
}

export function useAllCommands(): readonly Command[] {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => commands,
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Find the command of a key press; the newest of equal ones, which is the page's. */
export function commandOf(event: KeyboardEvent, at: number, list: readonly Command[] = commands): Command | undefined {
  const isMod = event.ctrlKey || event.metaKey;
  if (event.altKey) return undefined; // belongs to the browser and the keyboard's layout
  const find = (keys: string): Command | undefined => list.findLast((each) => each.keys === keys);
  if (isMod) return find(`mod+${event.key.toLowerCase()}`);
  if (isTyping(event.target) || event.key.length > 1) return undefined;
  const sequence = pendingKey && at - pendingAt < SEQUENCE_MS ? find(`${pendingKey} ${event.key}`) : undefined;
  pendingKey = sequence ? "" : event.key;
  pendingAt = at;
  return sequence ?? find(event.key);
}

/** Listen while the shell is shown. */
export function useShortcuts(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.repeat || document.querySelector('[role="dialog"]:not([data-palette])')) return;
      const command = commandOf(event, event.timeStamp);
      if (!command) return;
      event.preventDefault();
      command.run();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}
