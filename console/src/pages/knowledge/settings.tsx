import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Card } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import type { Document } from "./queries";

interface Values {
  name: string;
  language: string;
  refetch_hours: number;
}

const FIELDS = ["name", "language", "refetch_hours"] as const;
const valuesOf = ({ name, language, refetch_hours }: Document): Values => ({ name, language, refetch_hours });

export function DocumentSettings({ document }: { document: Document }) {
  const t = useTexts("knowledge");
  const shell = useTexts("shell");
  const isOff = !useCan("knowledge:write");
  const { register, handleSubmit, setError, reset, formState } = useForm<Values>({ values: valuesOf(document), resetOptions: { keepDirtyValues: true } });
  const { errors, isDirty, dirtyFields } = formState;
  const save = useChange(
    (values: Values) => data(api.PATCH("/api/knowledge/{id}", { params: { path: { id: document.id } }, body: Object.fromEntries(FIELDS.filter((name) => dirtyFields[name]).map((name) => [name, values[name]])) })),
    [["knowledge"]],
    {
      onDone: (saved) => {
        reset(valuesOf(saved));
        toast.done(shell.saved);
      },
      onError: (error) => {
        const { at, rest } = byField(error, FIELDS);
        for (const name of FIELDS) if (at[name]) setError(name, { message: at[name] });
        return !rest;
      },
    },
  );
  return (
    <Card title={t.settings}>
      <form noValidate onSubmit={(event) => void handleSubmit((values) => save.mutate(values))(event)}>
        <TextField label={t.name} hint={t.nameHint} maxLength={120} disabled={isOff} error={errors.name?.message} {...register("name")} />
        <div className="mt-3 grid gap-x-3 sm:grid-cols-2">
          <TextField label={t.language} hint={t.languageHint} maxLength={35} disabled={isOff} error={errors.language?.message} {...register("language")} />
          {document.url !== null && <TextField label={t.refetchHours} hint={t.refetchHoursHint} type="number" min={0} max={720} disabled={isOff} error={errors.refetch_hours?.message} {...register("refetch_hours", { valueAsNumber: true })} />}
        </div>
        <div className="mt-3">
          <Button look="primary" type="submit" needs="knowledge:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged}>
            {shell.save}
          </Button>
        </div>
      </form>
      <Unsaved isDirty={isDirty && !save.isPending} />
    </Card>
  );
}
