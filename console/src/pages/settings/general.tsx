import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Controller, useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api } from "@/api/client";
import { useTexts } from "@/i18n";
import { shortTime } from "@/lib/format";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Confirm } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Card, Facts, Time } from "@/ui/layout";
import { ZoneField, isZone } from "@/ui/zone-field";
import { Identity } from "./identity";
import { type Organization, useSave } from "./queries";
import { SaveBar } from "./save-bar";

const FIELDS = ["name", "time_zone"] as const;

export function General({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  return (
    <>
      <Basics organization={organization} />
      <Identity key={JSON.stringify(organization.business_identity_json)} organization={organization} />
      <Card title={t.facts}>
        <Facts items={[[t.id, <Copy key="id" value={organization.id} />], [t.created, <Time key="at" at={organization.created_at} />]]} />
      </Card>
    </>
  );
}

function Basics({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const values = { name: organization.name, time_zone: organization.time_zone };
  const form = useForm({ values, resetOptions: { keepDirtyValues: true }, mode: "onTouched" });
  const { errors, isDirty, dirtyFields } = form.formState;
  const zone = form.watch("time_zone");
  const [opened] = useState(() => new Date());
  const save = useSave(FIELDS, (field, message) => form.setError(field, { message }), (saved) => form.reset({ name: saved.name, time_zone: saved.time_zone }));
  return (
    <Card title={t.tabs.general}>
      <form
        onSubmit={(event) =>
          void form.handleSubmit((given) => save.mutate(Object.fromEntries(FIELDS.filter((each) => dirtyFields[each]).map((each) => [each, given[each].trim()]))))(event)
        }
      >
        <TextField label={t.name} hint={t.nameHint} maxLength={120} error={errors.name?.message} {...form.register("name", { required: t.nameHint })} />
        <div className="mt-3">
          <Controller
            control={form.control}
            name="time_zone"
            rules={{ validate: (value) => isZone(value.trim()) || t.zoneUnknown }}
            render={({ field }) => (
              <ZoneField label={t.zone} hint={isZone(zone) ? `${t.zoneHint} ${t.now(shortTime(opened, zone, opened))}` : t.zoneHint} error={errors.time_zone?.message} value={field.value} onChange={field.onChange} />
            )}
          />
        </div>
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}

/** Of every role: a viewer, too, leaves by themselves. */
export function Leave({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const leave = useChange(() => api.DELETE("/api/me/membership"), [], {
    onDone: () => void navigate({ to: "/" }).then(() => location.reload()),
  });
  return (
    <Card title={t.danger}>
      <p className="mb-3 text-dim">{t.dangerLead}</p>
      <Button look="danger" onClick={() => setAsked(true)}>
        {t.leave}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.leaveTitle(organization.name)} verb={t.leave} typed={organization.name} isBusy={leave.isPending} onConfirm={() => leave.mutate(undefined)}>
        <p>{t.dangerLead}</p>
      </Confirm>
    </Card>
  );
}
