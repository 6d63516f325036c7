/** A trigger's settings: only what was changed is sent. */
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Card, Facts, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { EVENT } from "./create";
import type { Trigger } from "./queries";

const CHANGED = ["name", "event", "id_field"] as const;
const valuesOf = ({ name, event, id_field }: Trigger) => ({ name, event, id_field });

export function Settings({ trigger }: { trigger: Trigger }) {
  const t = useTexts("triggers");
  const isOff = !useCan("integrations:write");
  const { register, handleSubmit, setError, reset, formState } = useForm({ values: valuesOf(trigger), resetOptions: { keepDirtyValues: true }, mode: "onTouched" });
  const { errors, isDirty, dirtyFields } = formState;
  const save = useChange(
    (values: ReturnType<typeof valuesOf>) => {
      const body = Object.fromEntries(CHANGED.filter((name) => dirtyFields[name]).map((name) => [name, values[name].trim()]));
      return data(api.PATCH("/api/triggers/{id}", { params: { path: { id: trigger.id } }, body }));
    },
    [["triggers"]],
    {
      onDone: (saved) => {
        reset(valuesOf(saved));
        toast.done(t.saved);
      },
      onError: (error) => {
        const { at, rest } = byField(error, CHANGED);
        for (const name of CHANGED) if (at[name]) setError(name, { message: at[name] });
        return !rest;
      },
    },
  );
  return (
    <div className="grid max-w-4xl items-start gap-4 lg:grid-cols-[3fr_2fr]">
      <Card>
        <form noValidate className="space-y-2" onSubmit={(event) => void handleSubmit((values) => !save.isPending && save.mutate(values))(event)}>
          <TextField label={t.name} maxLength={120} disabled={isOff} error={errors.name?.message} {...register("name", { validate: (value) => value.trim() !== "" || t.nameFirst })} />
          <TextField label={t.event} hint={t.eventHint} maxLength={100} spellCheck={false} disabled={isOff} error={errors.event?.message} {...register("event", { validate: (value) => EVENT.test(value) || t.eventBad })} />
          <TextField label={t.idField} hint={t.idFieldHint} maxLength={100} spellCheck={false} disabled={isOff} error={errors.id_field?.message} {...register("id_field")} />
          <div className="mt-4">
            <Button look="primary" type="submit" needs="integrations:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged}>
              {t.save}
            </Button>
          </div>
        </form>
      </Card>
      <Card title={t.facts}>
        <Facts
          items={[
            [t.lastReceived, <Time key="r" at={trigger.last_received_at} />],
            [t.lastRefused, <Time key="x" at={trigger.last_refused_at} />],
            trigger.last_refusal !== null && [t.whyRefused, t.refusals[trigger.last_refusal] ?? trigger.last_refusal],
            [t.createdAt, <Time key="c" at={trigger.created_at} />],
            [t.changedAt, <Time key="u" at={trigger.updated_at} />],
            ["ID", <code key="i" className="font-mono text-xs break-all">{trigger.id}</code>],
          ]}
        />
      </Card>
      <Unsaved isDirty={isDirty && !save.isPending} />
    </div>
  );
}
