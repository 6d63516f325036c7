/** How a tab has the stream: by the worker that all tabs share, or by itself where the browser has no such workers. */
import { type Message, Stream } from "./stream";

/** What the worker is told by a tab: `connect` if it isn't; `leave` when it is closed; `stop` when nobody is signed in any more. */
export type Port = "connect" | "leave" | "stop";

export interface Connection {
  /** Connect if it isn't. */
  again: () => void;
  leave: () => void;
  /** Nobody is signed in any more. */
  stop: () => void;
}

export function connect(take: (message: Message) => void): Connection {
  const connection = shared(take) ?? own(take);
  // A page that comes back from the browser's cache of pages has missed what was told meanwhile.
  const hidden = (): void => {
    connection.leave();
    take({ state: "lost" });
  };
  window.addEventListener("pagehide", hidden);
  return {
    ...connection,
    leave: () => {
      window.removeEventListener("pagehide", hidden);
      connection.leave();
    },
  };
}

function shared(take: (message: Message) => void): Connection | null {
  try {
    const worker = new SharedWorker(new URL("./live.worker.ts", import.meta.url), { type: "module", name: "hum-live" });
    const say = (word: Port): void => worker.port.postMessage(word);
    worker.port.addEventListener("message", ({ data }: MessageEvent<Message>) => take(data));
    worker.port.start();
    return { again: () => say("connect"), leave: () => say("leave"), stop: () => say("stop") };
  } catch {
    return null; // Chrome for Android and WebViews have none; some modes of privacy forbid them
  }
}

function own(take: (message: Message) => void): Connection {
  const stream = new Stream(take);
  stream.open();
  const stop = (): void => stream.stop();
  return { again: () => void (stream.isHeld || stream.open()), leave: stop, stop };
}
