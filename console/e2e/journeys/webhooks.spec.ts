/** A webhook is made, told, fails, and is told again by hand; the receiver knows what it got. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "../journey.ts";

test("an event reaches a server, and again when it failed", async ({ admin }) => {
  const { page } = admin;
  const got: string[] = [];
  let status = 204;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      got.push(`${request.headers["webhook-id"] ?? ""} ${(JSON.parse(body) as { type: string }).type}`);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hum`;
  try {
    await admin.go("/webhooks/new");
    await page.getByLabel("URL", { exact: true }).fill(url);
    await page.getByRole("button", { name: "Create webhook" }).click();
    await expect(page.getByText("It is shown this once.")).toBeVisible();
    await page.getByRole("button", { name: "I have kept it" }).click();
    await page.getByRole("button", { name: "Send test" }).first().click();
    await expect(page.getByRole("row").filter({ hasText: "Delivered" }).first()).toBeVisible({ timeout: 30_000 });
    expect(got.length).toBe(1);

    status = 500;
    await page.getByRole("button", { name: "Send test" }).first().click();
    const failed = page.getByRole("row").filter({ hasText: "Failed" }).first();
    await expect(failed).toContainText("500", { timeout: 30_000 });
    status = 204;
    await failed.getByRole("link").first().click();
    await page.getByRole("button", { name: "Send once more" }).click();
    await expect(page.getByRole("row").filter({ hasText: "Delivered" })).toHaveCount(2, { timeout: 30_000 });
    expect(new Set(got.slice(1).map((each) => each.split(" ")[0])).size, "the same event under the same id").toBe(1);
    await admin.isRightInEverySize();
  } finally {
    server.close();
  }
});
