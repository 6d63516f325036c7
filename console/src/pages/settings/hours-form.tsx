import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useAllFlowsWith } from "@/api/flows";
import { useTexts } from "@/i18n";
import { Switch } from "@/ui/field";
import { Card } from "@/ui/layout";
import { ZoneField } from "@/ui/zone-field";
import { faultsOf, hoursOf, officeWeek, weekOf } from "./hours";
import { Holidays } from "./holidays";
import { type Organization, type Patch, useSave } from "./queries";
import { SaveBar } from "./save-bar";
import { WeekEditor } from "./week-editor";

export function Hours({ organization }: { organization: Organization }) {
  return (
    <>
      <Business key={JSON.stringify(organization.business_hours_json)} organization={organization} />
      <Quiet organization={organization} />
    </>
  );
}

function Business({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const before = organization.business_hours_json;
  const [isAlways, setAlways] = useState(before === null);
  const [week, setWeek] = useState(() => (before === null ? officeWeek() : weekOf(before)));
  const [zone, setZone] = useState(before?.time_zone ?? "");
  const [holidays, setHolidays] = useState<readonly string[]>(before?.holidays ?? []);
  const [refused, setRefused] = useState<string>();
  const after = isAlways ? null : hoursOf(week, zone.trim(), holidays);
  const isDirty = JSON.stringify(after) !== JSON.stringify(before === null ? null : hoursOf(weekOf(before), before.time_zone ?? "", before.holidays ?? []));
  const save = useSave(["business_hours_json"], (_, reason) => setRefused(reason), () => setRefused(undefined));
  const faults = faultsOf(week);
  const isRight = isAlways || (!faults.week && Object.keys(faults.days).length === 0);
  const fault = refused ?? (!isAlways && faults.week ? t.faults[faults.week] : undefined);
  return (
    <Card title={t.hours}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isRight) save.mutate({ business_hours_json: after } as Patch);
        }}
      >
        <p className="mb-2 text-dim">{t.hoursLead}</p>
        <OwnHours />
        <Switch label={t.always} hint={t.alwaysHint} checked={isAlways} onChange={(event) => setAlways(event.target.checked)} />
        {!isAlways && (
          <div className="mt-3 space-y-5">
            <WeekEditor week={week} faults={faults.days} onChange={setWeek} />
            <Holidays days={holidays} onChange={setHolidays} />
            <div className="max-w-sm">
              <ZoneField label={t.hoursZone} hint={t.hoursZoneHint} value={zone} placeholder={organization.time_zone} onChange={setZone} />
            </div>
          </div>
        )}
        {fault && (
          <p role="alert" className="mt-3 text-[13px] font-medium text-bad">
            {fault}
          </p>
        )}
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}

/** The agents that these hours are not for. */
function OwnHours() {
  const t = useTexts("settings");
  const own = (useAllFlowsWith(["business_hours_json"]).data ?? []).filter((each) => each.business_hours_json && each.trigger_type !== "event");
  if (own.length === 0) return null;
  return (
    <div role="note" className="mb-3 rounded-control bg-warn-soft px-3 py-2 text-[13px]">
      {t.ownHours}{" "}
      {own.map((each, at) => (
        <span key={each.id}>
          {at > 0 && ", "}
          <Link to="/agents/$id" params={{ id: each.id }} hash="section-hours" className="text-accent hover:underline">
            {each.name}
          </Link>
        </span>
      ))}
    </div>
  );
}

const SWITCHES = ["quiet_hours_enabled", "recipient_hours_enabled", "voice_quiet_hours_enabled"] as const;
type Switches = Record<(typeof SWITCHES)[number], boolean>;
const switchesOf = (from: Switches): Switches => ({
  quiet_hours_enabled: from.quiet_hours_enabled,
  recipient_hours_enabled: from.recipient_hours_enabled,
  voice_quiet_hours_enabled: from.voice_quiet_hours_enabled,
});

function Quiet({ organization }: { organization: Organization }) {
  const t = useTexts("settings");
  const form = useForm<Switches>({ values: switchesOf(organization), resetOptions: { keepDirtyValues: true } });
  const { isDirty, dirtyFields } = form.formState;
  const save = useSave(SWITCHES, (field, message) => form.setError(field, { message }), (saved) => form.reset(switchesOf(saved)));
  return (
    <Card title={t.quiet}>
      <form onSubmit={(event) => void form.handleSubmit((given) => save.mutate(Object.fromEntries(SWITCHES.filter((each) => dirtyFields[each]).map((each) => [each, given[each]]))))(event)}>
        <Switch label={t.quietTexts} hint={t.quietTextsHint} {...form.register("quiet_hours_enabled")} />
        <Switch label={t.recipient} hint={t.recipientHint} {...form.register("recipient_hours_enabled")} />
        <Switch label={t.quietCalls} hint={t.quietCallsHint} {...form.register("voice_quiet_hours_enabled")} />
        <SaveBar isDirty={isDirty} isBusy={save.isPending} />
      </form>
    </Card>
  );
}
