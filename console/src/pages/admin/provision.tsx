import { useState } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { toast } from "@/ui/toast";

const FIELDS = ["name", "ownerEmail", "plan"] as const;

export function Provision({ onClose }: { onClose: () => void }) {
  const t = useTexts("admin");
  const shell = useTexts("shell");
  const [key, setKey] = useState(idempotencyKey);
  const form = useForm({ defaultValues: { name: "", ownerEmail: "", plan: "" } });
  const { errors } = form.formState;
  const create = useChange(
    (given: { name: string; ownerEmail: string; plan: string }) =>
      data(api.POST("/api/organizations/provision", { body: { name: given.name.trim(), ownerEmail: given.ownerEmail.trim(), plan: given.plan.trim() || null }, params: { header: { "Idempotency-Key": key } } })),
    [["organization requests"]],
    {
      onDone: (made) => {
        toast.done(t.created(made.name));
        onClose();
      },
      onError: (error) => {
        if (!error.isPassing) setKey(idempotencyKey());
        const { at, rest } = byField(error, FIELDS);
        for (const field of FIELDS) if (at[field]) form.setError(field, { message: at[field] });
        return !rest;
      },
    },
  );
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.provision}
      description={t.provisionLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="provision" needs="site:admin" busy={create.isPending}>
            {t.create}
          </Button>
        </>
      }
    >
      <form id="provision" onSubmit={(event) => void form.handleSubmit((given) => create.mutate(given))(event)}>
        <TextField label={t.name} required maxLength={120} error={errors.name?.message} {...form.register("name")} />
        <TextField label={t.owner} type="email" required error={errors.ownerEmail?.message} {...form.register("ownerEmail")} />
        <TextField label={t.plan} hint={t.planHint} maxLength={40} error={errors.plan?.message} {...form.register("plan")} />
      </form>
    </Dialog>
  );
}
