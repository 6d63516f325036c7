import { expect, test } from "vitest";
import { MOST_FILES } from "./drafts";
import { MOST_BYTES, fitted, refusalOf } from "./uploads";

test.each([
  [0, [], "empty"],
  [1, [], null],
  [MOST_BYTES, [], null],
  [MOST_BYTES + 1, [], "tooLarge"],
  [2, [{ size: MOST_BYTES - 2 }], null],
  [3, [{ size: MOST_BYTES - 2 }], "tooLarge"],
  [1, Array.from({ length: MOST_FILES - 1 }, () => ({ size: 1 })), null],
  [1, Array.from({ length: MOST_FILES }, () => ({ size: 1 })), "tooMany"],
] as const)("a file of %i bytes", (size, added, refusal) => expect(refusalOf(size, added)).toBe(refusal));

test.each([
  [4000, 3000, [2048, 1536]],
  [3000, 4000, [1536, 2048]],
  [100, 50, [100, 50]],
  [10_000, 1, [2048, 1]],
] as const)("a picture of %i by %i", (width, height, size) => expect(fitted(width, height, 2048)).toEqual(size));
