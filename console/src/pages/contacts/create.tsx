import { useNavigate } from "@tanstack/react-router";
import { useRef } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";

interface Values {
  phone_e164: string;
  name: string;
  company: string;
  email: string;
}

export function CreateContact({ onClose }: { onClose: () => void }) {
  const t = useTexts("contacts");
  const navigate = useNavigate();
  const key = useRef(idempotencyKey());
  const form = useForm<Values>({ defaultValues: { phone_e164: "", name: "", company: "", email: "" } });
  const { errors } = form.formState;
  const create = useChange(
    async (values: Values) =>
      data(
        api.POST("/api/contacts", {
          params: { header: { "Idempotency-Key": key.current } },
          body: { phone_e164: await inE164(values.phone_e164, "phone_e164"), ...filled({ name: values.name, company: values.company, email: values.email }) },
        }),
      ),
    [["contacts"]],
    {
      onDone: (contact) => void navigate({ to: "/contacts/$id", params: { id: contact.id } }),
      onError: (error) => {
        key.current = idempotencyKey();
        const known = error.details.filter((each) => each.field in form.getValues());
        for (const each of known) form.setError(each.field as keyof Values, { message: each.reason });
        if (error.code === "already_exists") form.setError("phone_e164", { message: t.alreadyThere });
        return known.length > 0 || error.code === "already_exists";
      },
    },
  );
  const submit = form.handleSubmit((values) => create.mutate(values));
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.create}
      actions={
        <Button look="primary" needs="contacts:write" busy={create.isPending} onClick={() => void submit()}>
          {t.create}
        </Button>
      }
    >
      <form className="space-y-1" onSubmit={(event) => void submit(event)}>
        <TextField label={t.phone} hint={t.phoneHint} error={errors.phone_e164?.message} autoFocus autoComplete="off" {...form.register("phone_e164", { required: t.phoneFirst })} />
        <TextField label={t.name} error={errors.name?.message} autoComplete="off" maxLength={200} {...form.register("name")} />
        <TextField label={t.company} error={errors.company?.message} autoComplete="off" maxLength={200} {...form.register("company")} />
        <TextField label={t.email} type="email" error={errors.email?.message} autoComplete="off" {...form.register("email")} />
        <button type="submit" hidden aria-hidden tabIndex={-1} />
      </form>
    </Dialog>
  );
}

function filled<V extends Record<string, string>>(values: V): Partial<V> {
  return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value.trim() ? [[name, value.trim()]] : []))) as Partial<V>;
}
