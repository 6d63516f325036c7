/** Light, dark, or as the system has it. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];
const watchers = new Set<() => void>();

function current(): Theme {
  const chosen = document.documentElement.dataset["theme"];
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

export function useTheme(): Theme {
  return useSyncExternalStore((watcher) => {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, current);
}

/** Whether what is shown now is dark; canvases (waveform, charts) draw by it. */
export function useIsDark(): boolean {
  const theme = useTheme();
  const system = useSyncExternalStore(
    (watcher) => {
      const query = matchMedia("(prefers-color-scheme: dark)");
      query.addEventListener("change", watcher);
      return () => query.removeEventListener("change", watcher);
    },
    () => matchMedia("(prefers-color-scheme: dark)").matches,
  );
  return theme === "system" ? system : theme === "dark";
}

export function chooseTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset["theme"];
  else root.dataset["theme"] = theme;
  try {
    localStorage.setItem("hum.theme", theme);
  } catch {
    // it holds until the tab is closed
  }
  for (const watcher of watchers) watcher();
}
