import { beforeEach, describe, expect, it } from "vitest";
import { forgetWork, keepWorkOf } from "./kept";

const kept = (): string[] => Object.keys(localStorage).toSorted();

beforeEach(() => {
  localStorage.clear();
  localStorage.setItem("hum.theme", "dark");
  localStorage.setItem("elsewhere", "1");
  keepWorkOf("user_1");
  localStorage.setItem("hum.thread.org/user_1/conv_1", "{}");
  sessionStorage.setItem("hum.practice.read", "1");
});

describe("what a person began", () => {
  it("stays for the same person", () => {
    keepWorkOf("user_1");
    expect(kept()).toEqual(["elsewhere", "hum.person", "hum.theme", "hum.thread.org/user_1/conv_1"]);
  });
  it("is forgotten with the sign-out", () => {
    forgetWork();
    expect([kept(), sessionStorage.length]).toEqual([["elsewhere", "hum.theme"], 0]);
  });
  it("is forgotten once somebody else has signed in", () => {
    keepWorkOf("user_2");
    expect(kept()).toEqual(["elsewhere", "hum.person", "hum.theme"]);
    expect(localStorage.getItem("hum.person")).toBe("user_2");
  });
});
