/** Judges a whole run: whatever the console can change, a journey has changed by its page. */
import { readRun } from "../platform.ts";
import { type OpenApi, changes, recorded, sendable, templateOf } from "../operations.ts";
import { expect, test } from "@playwright/test";

/** Changes that no journey makes, by the operation's name, with the reason. */
const UNSENT: Record<string, string> = {};

test("each change that the console can make is made by a journey", async () => {
  const { public_url: url } = await readRun(process.env["HUM_HOME"] ?? "");
  const names = changes((await (await fetch(`${url}/openapi.json`)).json()) as OpenApi);
  const wanted = [...sendable()].map((each) => names.get(each) ?? each).toSorted();
  const made = new Set(recorded().map((sent) => names.get(templateOf(sent, names.keys()) ?? "")));
  const missing = wanted.filter((name) => !made.has(name));
  console.log(`${wanted.length - missing.length} of ${wanted.length} changes were made by journeys (${Math.floor(((wanted.length - missing.length) / wanted.length) * 100)} %)`);
  for (const name of wanted) console.log(`  ${made.has(name) ? "made" : "    "}  ${name}${UNSENT[name] ? `: ${UNSENT[name]}` : ""}`);
  expect(missing, "changes that no journey makes").toEqual(Object.keys(UNSENT).toSorted());
});
