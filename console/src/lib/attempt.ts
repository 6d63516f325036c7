/** One attempt of a person to create or send something: its key stays the same over retries, and is another one once the content is. */
import { useRef } from "react";
import { idempotencyKey } from "@/api/client";

/** `key(content)` is the key under which this content is sent; after `done()` the same content is a new attempt. */
export function useAttempt(): { key: (content: unknown) => string; done: () => void } {
  const held = useRef<{ content: string; key: string }>(null);
  return {
    key: (content) => {
      const text = JSON.stringify(content) ?? "";
      if (held.current?.content !== text) held.current = { content: text, key: idempotencyKey() };
      return held.current.key;
    },
    done: () => {
      held.current = null;
    },
  };
}
