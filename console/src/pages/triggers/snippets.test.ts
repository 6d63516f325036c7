import { describe, expect, it } from "vitest";
import { postOf, quoted, signedPostOf } from "./snippets";

describe("a snippet for the shell", () => {
  it("leaves nothing to the shell", () => expect(quoted("it's $HOME `ls`")).toBe(`'it'\\''s $HOME \`ls\`'`));
  it("posts JSON with the id", () => expect(postOf("https://a.example/t/1", "id")).toBe(`curl -sS -X POST 'https://a.example/t/1' -H 'Content-Type: application/json' -d '{"id":"order-1001","total":42}'`));
  it("has no id where none is told apart", () => expect(postOf("https://a.example/t/1", "")).toContain(`-d '{"total":42}'`));
  it("signs the bytes that it sends", () => {
    const lines = signedPostOf("https://a.example/t/1", "whsec_QUJD", "id").split("\n");
    expect(lines[0]).toContain("SECRET='whsec_QUJD'");
    expect(lines.at(-1)).toContain('-d "$BODY"');
  });
});
