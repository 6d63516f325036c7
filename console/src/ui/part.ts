/** Parts of pages that are loaded when they are first shown. */
import { type ComponentType, lazy } from "react";

/** What is done where a part does not load: once more, until with the toasts comes what waits for it (`unloaded.ts`). */
export const missing = { load: <T>(load: () => Promise<T>): Promise<T> => load() };

/** React's `lazy`, which keeps a failure for good and shows it in place of the whole page, with a loader that does not fail. */
// oxlint-disable-next-line typescript/no-explicit-any -- as React's own `lazy`
export const part = <C extends ComponentType<any>>(load: () => Promise<{ default: C }>) => lazy(() => load().catch(() => missing.load(load)));
