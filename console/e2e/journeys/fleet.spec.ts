/** What is done with agents beside writing them: copies, tools, servers, a voice that is heard, a call from the browser; and campaigns that change. */
import { expect, test } from "../journey.ts";
import { Customer, clinic, confirm, listed, stranger, textNumber } from "../things.ts";

interface Flow {
  id: string;
  name: string;
}

test("an agent is copied, given a tool and a server and relieved of them, and the copy is deleted", async ({ admin }) => {
  const { page } = admin;
  await using shop = await Customer.serve();
  const { id } = await admin.api<Flow>("POST", "/api/flows", { name: "Front desk" });
  const tool = await admin.api<{ id: string }>("POST", "/api/tools", { name: "find_order", description: "Finds an order.", url: `${shop.url}/orders` });
  const server = await admin.api<{ id: string }>("POST", "/api/mcp-servers", { name: "Shop", url: `${shop.url}/mcp` });
  const flows = listed<Flow>(admin, "/api/flows", "flows");
  await admin.go("/agents");
  await page.getByRole("button", { name: "Duplicate Front desk" }).click();
  await expect.poll(async () => (await flows()).length).toBe(2);
  const copy = (await flows()).find((each) => each.id !== id);
  await page.getByRole("button", { name: `Delete ${copy?.name}` }).click();
  await confirm(page, "Delete", copy?.name);
  await expect.poll(flows).toMatchObject([{ id }]);

  const bound = listed<{ enabled: boolean; requires_approval: boolean | null }>(admin, `/api/flows/${id}/tools`, "flow_tools");
  const servers = listed<{ id: string }>(admin, `/api/flows/${id}/mcp-servers`, "mcp_servers");
  await admin.go(`/agents/${id}?tab=tools`);
  await page.getByLabel("Choose a tool").selectOption(tool.id);
  await page.getByRole("button", { name: "Add", exact: true }).first().click();
  await expect.poll(bound).toMatchObject([{ enabled: true }]);
  await page.getByRole("button", { name: "Ask a person first" }).click();
  await expect.poll(bound).toMatchObject([{ requires_approval: true }]);
  await page.getByRole("switch", { name: "On", exact: true }).click();
  await expect.poll(bound).toMatchObject([{ enabled: false, requires_approval: true }]);
  await page.getByRole("button", { name: "Remove find_order" }).click();
  await expect.poll(bound).toEqual([]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(bound, "as it was").toMatchObject([{ enabled: false, requires_approval: true }]);
  await page.getByLabel("Choose a server").selectOption(server.id);
  await page.getByRole("button", { name: "Add", exact: true }).last().click();
  await expect.poll(servers).toMatchObject([{ id: server.id }]);
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await expect.poll(servers).toEqual([]);
});

test("an agent's voice is heard, and it is called from the browser", async ({ admin, context }) => {
  const { page } = admin;
  const { flowId } = await clinic(admin, { recording_enabled: false });
  await admin.go(`/agents/${flowId}`);
  const heard = page.waitForResponse((response) => response.url().endsWith("/api/voices/preview"));
  await page.getByRole("button", { name: /^Hear it/ }).first().click();
  expect((await heard).headers()["content-type"]).toMatch(/^audio\//);
  await context.grantPermissions(["microphone"]);
  await admin.go(`/agents/${flowId}?tab=try&by=voice`);
  await page.getByRole("button", { name: "Call the agent" }).click();
  await expect(page.getByText("Connected").first()).toBeVisible({ timeout: 30_000 });
  await page.getByRole("button", { name: "Hang up" }).click();
  const calls = listed<{ origin: string; status: string }>(admin, "/api/calls", "calls");
  await expect.poll(calls, { timeout: 30_000 }).toMatchObject([{ origin: "browser", status: "completed" }]);
});

test("a campaign is changed, given more recipients, canceled; a draft is deleted", async ({ admin }) => {
  const { page } = admin;
  const number = await textNumber(admin);
  interface Campaign {
    id: string;
    name: string;
    status: string;
    counts: { total: number };
  }
  const make = (name: string): Promise<Campaign> => admin.api<Campaign>("POST", "/api/sms/campaigns", { name, twilio_number_id: number.id, body_template: "We are open tomorrow.", throttle_per_minute: 1, honor_quiet_hours: false });
  const { id } = await make("Reminder");
  const campaign = (): Promise<Campaign> => admin.api<Campaign>("GET", `/api/sms/campaigns/${id}`);
  await admin.go(`/campaigns/${id}`);
  await page.getByText("Pasted numbers").click();
  await page.getByLabel("Numbers", { exact: true }).fill(Array.from({ length: 5 }, stranger).join("\n"));
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect.poll(async () => (await campaign()).counts.total).toBeGreaterThan(3);
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Name").fill("Reminder of Friday");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect.poll(campaign).toMatchObject({ name: "Reminder of Friday" });
  await admin.go(`/campaigns/${id}`);
  await page.getByRole("button", { name: "Launch" }).click();
  await confirm(page, "Launch");
  await page.getByRole("button", { name: "Cancel campaign" }).click();
  await confirm(page, "Cancel campaign", "cancel");
  await expect.poll(campaign).toMatchObject({ status: "canceled" });
  const draft = await make("Never sent");
  await admin.go(`/campaigns/${draft.id}`);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await confirm(page, "Delete");
  await expect.poll(listed<Campaign>(admin, "/api/sms/campaigns", "campaigns")).toMatchObject([{ id }]);
});
