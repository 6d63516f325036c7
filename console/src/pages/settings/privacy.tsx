import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTexts } from "@/i18n";
import { Confirm } from "@/ui/dialog";
import { Switch, TextField } from "@/ui/field";
import { Card } from "@/ui/layout";
import { type Organization, useSave } from "./queries";
import { SaveBar } from "./save-bar";

const MOST_DAYS = 36_500;

export function Privacy({ organization }: { organization: Organization }) {
  return (
    <>
      <Retention organization={organization} />
      <Transcripts organization={organization} />
    </>
  );
}

interface Values {
  isKept: boolean;
  days: string;
}
const valuesOf = (from: Organization): Values => ({ isKept: from.retention_days === null, days: from.retention_days === null ? "" : String(from.retention_days) });

/** Whether a change deletes calls that would have stayed. */
function deletesMore(before: number | null, after: number | null): boolean {
  return after !== null && (before === null || after < before);
}

function Retention({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const form = useForm<Values>({ values: valuesOf(organization), resetOptions: { keepDirtyValues: true }, mode: "onTouched" });
  const { errors, isDirty } = form.formState;
  const isKept = form.watch("isKept");
  const [asked, setAsked] = useState<number | null>(null);
  const save = useSave(["retention_days"], (_, message) => form.setError("days", { message }), (saved) => {
    setAsked(null);
    form.reset(valuesOf(saved));
  });
  const send = (given: Values): void => {
    const days = given.isKept ? null : Number(given.days);
    if (deletesMore(organization.retention_days, days)) setAsked(days);
    else save.mutate({ retention_days: days });
  };
  return (
    <Card title={t.retention}>
      <form onSubmit={(event) => void form.handleSubmit(send)(event)}>
        <Switch label={t.retentionKeep} {...form.register("isKept")} />
        {!isKept && (
          <div className="mt-2 max-w-sm">
            <TextField
              label={t.retentionDays}
              hint={t.retentionLead}
              type="number"
              min={1}
              max={MOST_DAYS}
              error={errors.days?.message}
              {...form.register("days", { validate: (value, all) => all.isKept || (Number.isInteger(Number(value)) && Number(value) >= 1 && Number(value) <= MOST_DAYS) || `1–${MOST_DAYS}` })}
            />
          </div>
        )}
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
      {asked !== null && (
        <Confirm isOpen onClose={() => setAsked(null)} title={t.retentionTitle} verb={t.retentionVerb} typed={String(asked)} needs="team:write" isBusy={save.isPending} onConfirm={() => save.mutate({ retention_days: asked })}>
          <p>{t.retentionConfirm(asked)}</p>
        </Confirm>
      )}
    </Card>
  );
}

function Transcripts({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const form = useForm({ values: { notify_transcripts: organization.notify_transcripts } });
  const save = useSave(["notify_transcripts"], () => undefined, (saved) => form.reset({ notify_transcripts: saved.notify_transcripts }));
  return (
    <Card title={t.privacyNotify}>
      <form onSubmit={(event) => void form.handleSubmit((given) => save.mutate(given))(event)}>
        <Switch label={t.transcripts} hint={t.transcriptsHint} {...form.register("notify_transcripts")} />
        <SaveBar isDirty={form.formState.isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}
