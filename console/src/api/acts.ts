/** What is under way is not begun again: a double click, or a second one before the page has changed, is one act. */
import { type MutateOptions, type UseMutationOptions, useMutation } from "@tanstack/react-query";
import { useCallback, useState } from "react";

/** Whether two values say the same. Files, and whatever else is more than its members, are the same only as one. */
export function saySame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const [of, others] = [Object.entries(a), Object.entries(b)];
  return of.length === others.length && of.every(([name, value]) => Object.hasOwn(b, name) && saySame(value, (b as Record<string, unknown>)[name]));
}

function isPlain(value: unknown): value is object {
  return typeof value === "object" && value !== null && (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype);
}

/** Acts by what was asked of them. */
export class UnderWay<V> {
  #asked: V[] = [];

  /** Note that this is begun; false if it is under way already. */
  begin(asked: V): boolean {
    if (this.#asked.some((each) => saySame(each, asked))) return false;
    this.#asked.push(asked);
    return true;
  }

  end(asked: V): void {
    this.#asked = this.#asked.filter((each) => !saySame(each, asked));
  }
}

/** A mutation. The pages' changes are `useChange`s, which say what they touch. */
export function useAct<V, R>(options: UseMutationOptions<R, Error, V> & { mutationFn: (asked: V) => Promise<R> }) {
  const [underWay] = useState(() => new UnderWay<V>());
  const { onSettled } = options;
  const mutation = useMutation<R, Error, V>({
    ...options,
    onSettled: (result, error, asked, ...more) => {
      underWay.end(asked);
      return onSettled?.(result, error, asked, ...more);
    },
  });
  const begin = mutation.mutate;
  const mutate = useCallback(
    (asked: V, more?: MutateOptions<R, Error, V>): void => {
      if (underWay.begin(asked)) begin(asked, more);
    },
    [begin, underWay],
  );
  return { ...mutation, mutate };
}
