/** The figures of texts: what came in and went out is there, in days, by who answered, and in the file. */
import { readFile } from "node:fs/promises";
import { expect, test } from "../journey.ts";
import { stranger, textNumber } from "../things.ts";

test("texts are counted, and what is shown is saved as a table", async ({ admin, outside }) => {
  const { page } = admin;
  const { e164 } = await textNumber(admin);
  const from = stranger();
  await outside.text(from, e164, "Do you have time on Friday?");
  await outside.text(stranger(), e164, "Is anybody there?");
  let id: string | undefined;
  await expect
    .poll(async () => {
      const { conversations } = await admin.api<{ conversations: { id: string; contact_e164: string }[] }>("GET", "/api/sms/conversations");
      id = conversations.find((each) => each.contact_e164 === from)?.id;
      return conversations.length;
    })
    .toBe(2);
  await admin.api("POST", `/api/sms/conversations/${id}/messages`, { body: "Yes, at ten." });
  await expect.poll(async () => (await outside.textsTo(from)).map((each) => each.body)).toContain("Yes, at ten.");
  await expect.poll(async () => (await admin.api<{ totals: { delivered: number } }>("GET", "/api/analytics/texts")).totals.delivered).toBe(1);

  // What the texts used, by the rows of each of them.
  interface Sent {
    usage: { lines: { meter: string; cost: { amount: string; currency: string } | null }[] } | null;
  }
  const used = async (): Promise<string[]> => {
    const { messages } = await admin.api<{ messages: Sent[] }>("GET", `/api/sms/conversations/${id}/messages`);
    return messages.flatMap((each) => each.usage?.lines ?? []).map((each) => `${each.meter} ${each.cost?.amount} ${each.cost?.currency}`).toSorted();
  };
  await expect.poll(used).toEqual(["segments_received 0.0083 USD", "segments_sent 0.0083 USD"]);
  await expect.poll(async () => (await admin.api<{ totals: { messages_sent: number; messages_received: number } }>("GET", "/api/usage")).totals).toMatchObject({ messages_sent: 1, messages_received: 2 });

  await admin.go("/analytics");
  await page.getByRole("link", { name: "Texts", exact: true }).click();
  await expect(page).toHaveURL(/\/analytics\/texts/);
  const answered = page.getByRole("region", { name: "Conversations by who answered" });
  await expect(answered.getByRole("row", { name: /^The team 1 50/ })).toBeVisible();
  await expect(answered.getByRole("row", { name: /^Nobody 1 50/ })).toBeVisible();
  await expect(page.getByRole("region", { name: "Outgoing by sender" }).getByRole("row", { name: /^The team 1 1 0 1/ })).toBeVisible();
  await expect(page.getByRole("region", { name: "Cost by number" }).getByRole("row", { name: new RegExp(`${e164.slice(1)} \\$`) })).toBeVisible();
  await expect(page.getByRole("region", { name: "Cost per day" }).getByRole("row")).toHaveCount(2);
  await admin.isRightInEverySize();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  const lines = (await readFile(await (await saved).path(), "utf8")).trim().split("\r\n");
  expect(lines[0]).toBe("of,name,incoming,outgoing,delivered,failed,incoming_segments,outgoing_segments,replies,opt_outs,conversations,sent_cost,received_cost,cost");
  expect(lines).toContain("total,,2,1,1,0,2,1,,,,0.0083 USD,0.0166 USD,0.0249 USD");
  expect(lines.filter((each) => /^number,.*,0\.0083 USD,0\.0166 USD,0\.0249 USD$/.test(each))).toHaveLength(1);
  expect(lines.filter((each) => /^day,.*,0\.0249 USD$/.test(each))).toHaveLength(1);
  expect(lines.filter((each) => each.startsWith("day,"))).toHaveLength(30);
  expect(lines).toContain("answered_by,people,,,,,,,,,1,,,");
});
