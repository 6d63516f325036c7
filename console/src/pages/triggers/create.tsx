/** A new trigger; then its address, once. */
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { type Schemas, api, data } from "@/api/client";
import { useChange } from "@/api/queries";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Switch, TextField } from "@/ui/field";
import type { Trigger } from "./queries";
import { ShownOnce } from "./shown-once";

export const FIELDS = ["name", "event", "id_field", "signed"] as const;
export const EVENT = /^external(\.[a-z0-9]([a-z0-9_]*[a-z0-9])?){1,4}$/;

export function CreateTrigger({ onClose }: { onClose: () => void }) {
  const t = useTexts("triggers");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const attempt = useAttempt();
  const [made, setMade] = useState<Trigger>();
  const { register, handleSubmit, setError, formState } = useForm({ defaultValues: { name: "", event: "external.", id_field: "id", signed: false }, mode: "onTouched" });
  const { errors } = formState;
  const create = useChange((body: Schemas["TriggerInput"]) => data(api.POST("/api/triggers", { body, params: { header: { "Idempotency-Key": attempt.key(body) } } })), [["triggers"]], {
    onDone: setMade,
    onError: (error) => {
      const { at, rest } = byField(error, FIELDS);
      for (const name of FIELDS) if (at[name]) setError(name, { message: at[name] });
      if (error.code === "idempotency_mismatch") attempt.done();
      return !rest;
    },
  });
  if (made) return <ShownOnce trigger={made} lead={t.addressLead} onClose={() => void navigate({ to: "/triggers/$id", params: { id: made.id } })} />;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.create}
      description={t.createLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="create-trigger" needs="integrations:write" busy={create.isPending}>
            {t.createIt}
          </Button>
        </>
      }
    >
      <form
        id="create-trigger"
        noValidate
        className="space-y-2"
        onSubmit={(event) =>
          void handleSubmit((values) => {
            if (!create.isPending) create.mutate({ ...values, name: values.name.trim(), id_field: values.id_field.trim() });
          })(event)
        }
      >
        <TextField label={t.name} hint={t.nameHint} maxLength={120} autoComplete="off" error={errors.name?.message} {...register("name", { validate: (value) => value.trim() !== "" || t.nameFirst })} />
        <TextField label={t.event} hint={t.eventHint} maxLength={100} autoComplete="off" spellCheck={false} error={errors.event?.message} {...register("event", { validate: (value) => EVENT.test(value) || t.eventBad })} />
        <TextField label={t.idField} hint={t.idFieldHint} maxLength={100} autoComplete="off" spellCheck={false} error={errors.id_field?.message} {...register("id_field")} />
        <Switch label={t.mustBeSigned} hint={errors.signed?.message ?? t.mustBeSignedHint} {...register("signed")} />
      </form>
    </Dialog>
  );
}
