/** One connection for all tabs: browsers allow six to a host, and a seventh tab would hang. */
import type { Port } from "./connection";
import { onMoved } from "./moves";
import { type Message, Stream } from "./stream";

const tabs = new Set<MessagePort>();
const stream = new Stream((message) => {
  for (const tab of tabs) tab.postMessage(message);
});

function join(port: MessagePort): void {
  tabs.add(port);
  if (stream.isHeld) port.postMessage({ state: stream.state } satisfies Message);
  else stream.open();
}

function leave(port: MessagePort): void {
  tabs.delete(port);
  if (tabs.size === 0) stream.stop();
}

// What it tells is of the organization that the session was in when it was opened.
onMoved(() => {
  if (tabs.size > 0) stream.open();
});

interface SharedScope {
  addEventListener(type: "connect", listener: (event: MessageEvent) => void): void;
}

(self as unknown as SharedScope).addEventListener("connect", ({ ports: [port] }) => {
  if (!port) return;
  port.addEventListener("message", ({ data }: MessageEvent<Port>) => {
    if (data === "leave") leave(port);
    else if (data === "stop") stream.stop();
    else join(port); // one that came back from the browser's cache of pages had left
  });
  port.start();
  join(port);
});
