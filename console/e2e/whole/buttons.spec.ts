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

test("a path that was sent is of the operation that it fits best", () => {
  const templates = ["POST /api/contacts/import", "POST /api/contacts/{id}", "POST /api/flows/{flow_id}/tools/{id}", "DELETE /api/blocklist/{phone_e164}"];
  for (const [sent, template] of [
    ["POST /api/contacts/import", "POST /api/contacts/import"],
    ["POST /api/contacts/cont_1", "POST /api/contacts/{id}"],
    ["DELETE /api/blocklist/%2B13175550100", "DELETE /api/blocklist/{phone_e164}"],
    ["GET /api/contacts/cont_1", undefined],
    ["POST /api/contacts/cont_1/tags", undefined],
    ["POST /api/contacts/", undefined],
  ] as const)
    expect(templateOf(sent, templates), sent).toBe(template);
});
