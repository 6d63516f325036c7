/** What people remember, typed after Ctrl K, and the log of what they did, in sentences. */
import { expect, fresh, test } from "../journey.ts";

test("a person is found by name, by number, and by keyboard alone", async ({ admin }) => {
  const { page } = admin;
  const name = `Zenobia ${fresh("found")}`;
  const { id } = await admin.api<{ id: string }>("POST", "/api/contacts", { phone_e164: "+13175550187", name, company: "Soap Works" });
  await admin.go("/");
  await page.keyboard.press("Control+k");
  const search = page.getByRole("combobox", { name: "Commands" });
  await search.fill("zenobia");
  const found = page.getByRole("option", { name: new RegExp(name) });
  await expect(found).toBeVisible();
  await expect(found).toContainText("Soap Works");
  await admin.isAccessible();
  await search.fill("317-555-0187");
  await expect(found).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`/contacts/${id}$`));
  await page.keyboard.press("Control+k");
  await search.fill("xyzzy nobody");
  await expect(page.getByText("Nothing by that name.")).toBeVisible();
  await page.keyboard.press("Escape");
  await admin.api("DELETE", `/api/contacts/${id}`);
});

test("the log reads like sentences, and is narrowed to a kind and a person", async ({ admin }) => {
  const { page } = admin;
  const name = fresh("Front desk");
  const { id } = await admin.api<{ id: string }>("POST", "/api/flows", { name, greeting: "Hello" });
  await admin.api("PATCH", `/api/flows/${id}`, { system_prompt: "Be brief." });
  await admin.go("/audit-log");
  await expect(page.getByText(`changed the agent ${name}`)).toBeVisible();
  await expect(page.getByText("Changed: instructions").first()).toBeVisible();
  await admin.isAccessible();
  await page.getByLabel("Kind of thing").selectOption("Contacts");
  await expect(page.getByText(`changed the agent ${name}`)).toBeHidden();
  await page.getByLabel("Kind of thing").selectOption("Agents");
  await page.getByRole("link", { name }).first().click();
  await expect(page).toHaveURL(new RegExp(`/agents/${id}`));
  await admin.go("/audit-log"); // the agent's page would ask for an agent that is gone
  await admin.api("DELETE", `/api/flows/${id}`);
  await admin.go("/audit-log?kind=flow&from=2026-99-99&to=soon");
  await expect(page.getByText(`deleted the agent ${id}`)).toBeVisible();
  await admin.isRightInEverySize();
});
