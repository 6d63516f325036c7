import { beforeEach, describe, expect, it } from "vitest";
import { BLANK } from "../flow";
import { baseOf, dropDraft, isStale, keepDraft, storedDraft } from "./drafts";

const saved = { ...BLANK, name: "Desk", greeting: "Hello." };

describe("drafts", () => {
  beforeEach(() => localStorage.clear());
  it("are kept by flow, and offered while they change something", () => {
    keepDraft("flow_1", 3, saved, { greeting: "Hi." });
    expect(storedDraft("flow_1", saved)).toMatchObject({ version: 3, changes: { greeting: "Hi." }, before: { greeting: "Hello." } });
    expect(storedDraft("flow_2", saved)).toBeNull();
    expect(storedDraft("flow_1", { ...saved, greeting: "Hi." })).toBeNull();
    dropDraft("flow_1");
    expect(storedDraft("flow_1", saved)).toBeNull();
  });
  it("know when somebody else has changed what they change", () => {
    keepDraft("flow_1", 3, saved, { greeting: "Hi." });
    const theirs = { ...saved, greeting: "Good day.", voice: "cedar" };
    const found = storedDraft("flow_1", theirs);
    expect(found && [isStale(found, saved), isStale(found, theirs), baseOf(found, theirs).greeting]).toEqual([false, true, "Hello."]);
  });
  it("take nothing that is no draft", () => {
    localStorage.setItem("hum.draft.flow.flow_1", '{"changes":{"nope":1},"before":{}}');
    expect(storedDraft("flow_1", saved)).toBeNull();
    localStorage.setItem("hum.draft.flow.flow_1", "nonsense");
    expect(storedDraft("flow_1", saved)).toBeNull();
  });
});
