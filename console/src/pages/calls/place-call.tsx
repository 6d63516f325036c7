/** Have an agent call somebody: now or at a time, with what the call is about. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useState } from "react";
import { type SubmitHandler, type UseFormReturn, useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { useZone } from "@/api/me";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { instantOf } from "@/lib/day";
import { fullTime, phone, zoneName } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import { useNumbers } from "./queries";

interface Values {
  flow: string;
  to: string;
  number: string;
  about: string;
  isLater: boolean;
  day: string;
  time: string;
  attempts: string;
  isDespiteQuietHours: boolean;
}

const FIELDS: Record<string, keyof Values> = { flow_id: "flow", to: "to", from_number_id: "number", task_context: "about", scheduled_at: "time", max_attempts: "attempts" };

/** Facts for the agent: each line `name: value` is one; text without a name is the purpose. */
export function factsOf(text: string): Record<string, string> {
  const facts: Record<string, string> = {};
  const rest: string[] = [];
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const found = /^([\p{L}\p{N}][\p{L}\p{N} _-]{0,39}):\s+(\S.*)$/u.exec(line);
    if (found?.[1] && found[2]) facts[found[1].trim()] = found[2];
    else rest.push(line);
  }
  return rest.length > 0 ? { purpose: rest.join(" "), ...facts } : facts;
}

type Order = Schemas["PlaceCallRequestInput"];

export default function PlaceCall({ to, onClose }: { to: string; onClose: () => void }) {
  const t = useTexts("calls");
  const zone = useZone();
  const navigate = useNavigate();
  const attempt = useAttempt();
  const id = useId();
  const form = useForm<Values>({ mode: "onTouched", defaultValues: { flow: "", to, number: "", about: "", isLater: false, day: "", time: "", attempts: "1", isDespiteQuietHours: false } });
  const place = useChange(
    async (order: Order) => {
      const body = { ...order, to: await inE164(order.to, "to") };
      return data(api.POST("/api/outbound/calls", { body, params: { header: { "Idempotency-Key": attempt.key(body) } } }));
    },
    [["calls"], ["outbound"]],
    {
      onDone: (call) => {
        attempt.done();
        onClose();
        if (call.scheduled_at) toast.done(t.placedLater(fullTime(call.due_at ?? call.scheduled_at, zone)));
        else void navigate({ to: "/calls/$id", params: { id: call.id } });
      },
      onError: (error) => {
        let isShown = false;
        for (const each of error.details) {
          const field = FIELDS[each.field.split(/[.[]/)[0] ?? ""];
          if (field) form.setError(field, { message: each.reason }, { shouldFocus: !isShown });
          isShown ||= Boolean(field);
        }
        return isShown;
      },
    },
  );
  const submit: SubmitHandler<Values> = (values) => {
    const at = values.isLater ? instantOf(values.day, values.time, zone) : undefined;
    if (values.isLater && !at) return form.setError("time", { message: t.noSuchTime }, { shouldFocus: true });
    const facts = factsOf(values.about);
    return place.mutate({
      flow_id: values.flow,
      to: values.to,
      ...(values.number ? { from_number_id: values.number } : {}),
      ...(Object.keys(facts).length > 0 ? { task_context: facts } : {}),
      ...(at ? { scheduled_at: at } : {}),
      max_attempts: Number(values.attempts),
      honor_quiet_hours: !values.isDespiteQuietHours,
    });
  };
  return (
    <Dialog
      isOpen
      size="md"
      onClose={onClose}
      title={t.place}
      description={t.placeLead}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="primary" type="submit" form={id} needs="calls:write" busy={place.isPending}>
            {form.watch("isLater") ? t.schedule : t.callNow}
          </Button>
        </>
      }
    >
      <form id={id} noValidate className="grid gap-x-4 gap-y-1 md:grid-cols-2" onSubmit={(event) => void form.handleSubmit(submit)(event)}>
        <Who form={form} />
        <When form={form} zone={zone} />
      </form>
    </Dialog>
  );
}

function Who({ form }: { form: UseFormReturn<Values> }) {
  const t = useTexts("calls");
  const { data: flows } = useAllFlows();
  const { data: numbers } = useNumbers();
  const { errors } = form.formState;
  const voice = flows?.filter((flow) => flow.channel === "voice") ?? [];
  const only = voice.length === 1 ? voice[0]?.id : undefined;
  const { setValue, getValues } = form;
  useEffect(() => {
    if (only && !getValues("flow")) setValue("flow", only);
  }, [only, getValues, setValue]);
  return (
    <>
      <TextField label={t.whom} type="tel" inputMode="tel" autoComplete="off" placeholder="+13175550123" error={errors.to?.message} {...form.register("to", { required: t.whomFirst, setValueAs: (value: string) => value.trim() })} />
      <SelectField
        label={t.agent}
        error={errors.flow?.message}
        choices={[{ value: "", label: t.chooseAgent }, ...voice.map((flow) => ({ value: flow.id, label: flow.name }))]}
        {...form.register("flow", { required: t.agentFirst })}
      />
      <div className="pb-3 md:col-span-2">
        <TextArea label={t.about} hint={t.aboutHint} rows={3} maxLength={6000} error={errors.about?.message} placeholder={t.aboutExample} {...form.register("about")} />
      </div>
      <SelectField
        label={t.callFrom}
        error={errors.number?.message}
        choices={[{ value: "", label: t.numberOfAgent }, ...(numbers?.numbers ?? []).map((each) => ({ value: each.id, label: phone(each.e164) }))]}
        {...form.register("number")}
      />
      <SelectField label={t.attempts} error={errors.attempts?.message} choices={["1", "2", "3", "5", "10"].map((value) => ({ value, label: t.times(Number(value)) }))} {...form.register("attempts")} />
    </>
  );
}

function When({ form, zone }: { form: UseFormReturn<Values>; zone: string }) {
  const t = useTexts("calls");
  const { errors } = form.formState;
  const [isLater, day, time] = form.watch(["isLater", "day", "time"]);
  const [today] = useState(() => new Date().toISOString().slice(0, 10));
  const at = isLater ? instantOf(day, time, zone) : undefined;
  return (
    <>
      <Switch label={t.later} hint={t.laterHint} {...form.register("isLater")} />
      <Switch label={t.despiteQuietHours} hint={t.despiteQuietHoursHint} {...form.register("isDespiteQuietHours")} />
      {isLater && (
        <>
          <TextField label={t.day} type="date" min={today} error={errors.day?.message} {...form.register("day", { validate: (value, all) => !all.isLater || Boolean(value) || t.dayFirst })} />
          <TextField
            label={t.timeIn(zoneName(zone))}
            type="time"
            hint={at ? fullTime(at, zone) : undefined}
            error={errors.time?.message}
            {...form.register("time", { validate: (value, all) => !all.isLater || Boolean(value) || t.timeFirst })}
          />
        </>
      )}
    </>
  );
}
