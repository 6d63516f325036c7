/** Refusals in the reader's language: at the field they are about, and in a notice where there is none. */
import { expect, forgive, fresh, test } from "../journey.ts";

test("a refusal speaks Spanish, and keeps what it is about", async ({ admin }) => {
  const { page } = admin;
  const [taken, own] = [fresh("taken"), fresh("own")];
  await admin.api("POST", "/api/sms/templates", { name: taken, body: "Hola." });
  await page.evaluate(() => localStorage.setItem("hum.language", "es"));
  await admin.go("/inbox/templates");
  await page.getByRole("button", { name: "Plantilla nueva" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Plantilla nueva" });
  const save = dialog.getByRole("button", { name: "Guardar", exact: true });

  // A field's: the variable that isn't known is named as it was written.
  await dialog.getByLabel("Nombre").fill(taken);
  await dialog.getByLabel("Texto").fill("Hola {{contact.nombre}}.");
  await save.click();
  await expect(dialog.getByText("nombra contact.nombre, que no se conoce; se conocen")).toBeVisible();
  await admin.isAccessible();

  // A conflict's.
  await dialog.getByLabel("Texto").fill("Hola {{contact.name}}.");
  await save.click();
  await expect(dialog.getByText("Otra plantilla ya tiene este nombre.")).toBeVisible();
  await dialog.getByLabel("Nombre").fill(own);
  await save.click();
  await expect(dialog).toBeHidden();

  // What is there no longer, since somebody else deleted it meanwhile.
  await page.getByText(own).click();
  const editor = page.getByRole("dialog", { name: "Editar plantilla" });
  await editor.getByLabel("Texto").fill("Hasta luego.");
  const { templates } = await admin.api<{ templates: { id: string; name: string }[] }>("GET", "/api/sms/templates");
  const id = templates.find((each) => each.name === own)?.id ?? "";
  await admin.api("DELETE", `/api/sms/templates/${id}`);
  await editor.getByRole("button", { name: "Guardar", exact: true }).click();
  const notice = page.getByRole("region", { name: "Avisos" });
  await expect(notice.getByText("No existe.", { exact: true })).toBeVisible();
  await expect(notice.getByText(/^Solicitud \S+$/)).toBeVisible();
  forgive(page); // the 404 is what was asked for
});
