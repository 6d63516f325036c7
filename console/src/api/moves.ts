/**
 * A session works in one organization at a time, in all tabs of a browser: the tab that moves it tells the others, which begin anew, and
 * the worker, whose stream is of the one before. A tab that slept through it is told by the answer to its next request.
 */
import { shown } from "./organization";

const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("hum-organization");

/** This tab has moved the session. */
export function movedTo(id: string): void {
  shown.organization = id;
  channel?.postMessage(id);
}

/** Called when another tab has moved it elsewhere than this one shows. */
export function onMoved(then: () => void): () => void {
  const told = ({ data }: MessageEvent<string>): void => {
    if (data !== shown.organization) then();
  };
  channel?.addEventListener("message", told);
  return () => channel?.removeEventListener("message", told);
}
