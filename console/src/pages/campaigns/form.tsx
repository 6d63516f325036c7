import { useRef } from "react";
import { type UseFormReturn, useForm, useWatch } from "react-hook-form";
import type { FieldError } from "@/api/client";
import { useAllFlows } from "@/api/flows";
import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { segmentsOf } from "@/lib/segments";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { MomentField } from "@/ui/moment";
import { previewOf } from "./audience";
import type { Campaign } from "./queries";
import { useTextNumbers } from "./queries";

export interface Values {
  name: string;
  twilio_number_id: string;
  flow_id: string;
  body_template: string;
  throttle_per_minute: string;
  scheduled_start_at: Date | null;
  expires_at: Date | null;
  honor_quiet_hours: boolean;
}

const EVERYBODYS = ["contact.first_name", "contact.name", "contact.company", "org.name"];

export function useCampaignForm(campaign?: Campaign): UseFormReturn<Values> {
  return useForm<Values>({
    mode: "onTouched",
    defaultValues: {
      name: campaign?.name ?? "",
      twilio_number_id: campaign?.twilio_number_id ?? "",
      flow_id: campaign?.flow_id ?? "",
      body_template: campaign?.body_template ?? "",
      throttle_per_minute: campaign?.throttle_per_minute ? String(campaign.throttle_per_minute) : "",
      scheduled_start_at: campaign?.scheduled_start_at ? new Date(campaign.scheduled_start_at) : null,
      expires_at: campaign?.expires_at ? new Date(campaign.expires_at) : null,
      honor_quiet_hours: campaign?.honor_quiet_hours ?? true,
    },
  });
}

/** What the API takes; what is left empty is said as null, which a draft's change needs. */
export function bodyOf(values: Values) {
  return {
    name: values.name.trim(),
    twilio_number_id: values.twilio_number_id,
    flow_id: values.flow_id || null,
    body_template: values.body_template,
    throttle_per_minute: values.throttle_per_minute.trim() ? Number(values.throttle_per_minute) : null,
    scheduled_start_at: values.scheduled_start_at?.toISOString() ?? null,
    expires_at: values.expires_at?.toISOString() ?? null,
    honor_quiet_hours: values.honor_quiet_hours,
  };
}

/** Show a refusal at its fields; false if none of them is here. */
export function showFaults(form: UseFormReturn<Values>, details: readonly FieldError[]): boolean {
  const known = details.filter((each) => each.field in form.getValues());
  for (const each of known) form.setError(each.field as keyof Values, { message: each.reason });
  return known.length > 0;
}

/** The fields of a campaign, for a new one and a draft alike. */
export function CampaignFields({ form, variables }: { form: UseFormReturn<Values>; variables: readonly string[] }) {
  const t = useTexts("campaigns");
  const numbers = useTextNumbers();
  const flows = (useAllFlows().data ?? []).filter((each) => each.channel === "sms");
  const { errors } = form.formState;
  const [numberId, start, end] = useWatch({ control: form.control, name: ["twilio_number_id", "scheduled_start_at", "expires_at"] });
  const isShort = (text: string): boolean => text.trim() === "" || (/^\d{1,4}$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= 6000);
  return (
    <div className="space-y-2">
      <TextField label={t.name} hint={t.nameHint} error={errors.name?.message} maxLength={200} autoComplete="off" {...form.register("name", { validate: (value) => value.trim() !== "" || t.nameFirst })} />
      <SelectField
        label={t.number}
        hint={numbers.length === 0 ? t.noTextNumber : undefined}
        error={errors.twilio_number_id?.message}
        {...form.register("twilio_number_id", { required: t.numberFirst })}
        value={numberId}
        choices={[{ value: "", label: t.chooseNumber }, ...numbers.map((each) => ({ value: each.id, label: [each.friendly_name, phone(each.e164)].filter(Boolean).join(" · ") }))]}
      />
      <Body form={form} variables={[...variables, ...EVERYBODYS]} />
      <SelectField label={t.agent} hint={t.agentHint} error={errors.flow_id?.message} {...form.register("flow_id")} choices={[{ value: "", label: t.numbersAgent }, ...flows.map((each) => ({ value: each.id, label: each.name }))]} />
      <div className="grid gap-x-4 gap-y-2 sm:grid-cols-2">
        <MomentField label={t.startsAt} hint={t.startsHint} error={errors.scheduled_start_at?.message} value={start} onChange={(at) => form.setValue("scheduled_start_at", at, { shouldDirty: true })} />
        <MomentField label={t.expiresAt} hint={t.expiresHint} error={errors.expires_at?.message} value={end} onChange={(at) => form.setValue("expires_at", at, { shouldDirty: true })} />
        <TextField label={t.throttle} hint={t.throttleHint} error={errors.throttle_per_minute?.message} inputMode="numeric" {...form.register("throttle_per_minute", { validate: (value) => isShort(value) || t.throttleRange })} />
      </div>
      <Switch label={t.quietHours} hint={t.quietHoursHint} {...form.register("honor_quiet_hours")} />
    </div>
  );
}

/** The variables that have the same value for everybody. */
export function useSharedValues(numberId: string): Record<string, string> {
  const number = useTextNumbers().find((each) => each.id === numberId);
  const name = useMe().organization?.name;
  return { ...(name ? { "org.name": name } : {}), ...(number ? { "number.phone": number.e164 } : {}) };
}

function Body({ form, variables }: { form: UseFormReturn<Values>; variables: readonly string[] }) {
  const t = useTexts("campaigns");
  const area = useRef<HTMLTextAreaElement | null>(null);
  const [body, numberId] = useWatch({ control: form.control, name: ["body_template", "twilio_number_id"] });
  // An emoji in a business's name makes each text dearer.
  const counted = segmentsOf(previewOf(body, useSharedValues(numberId)));
  const { ref, ...field } = form.register("body_template", { validate: (value) => value.trim() !== "" || t.textFirst });
  const insert = (name: string): void => {
    const element = area.current;
    const at = element?.selectionStart ?? body.length;
    form.setValue("body_template", `${body.slice(0, at)}{{${name}}}${body.slice(element?.selectionEnd ?? at)}`, { shouldDirty: true, shouldValidate: true });
    element?.focus();
  };
  return (
    <div>
      <TextArea
        label={t.text}
        rows={5}
        maxLength={1600}
        placeholder={t.textPlaceholder}
        error={form.formState.errors.body_template?.message}
        hint={body ? `${counted.encoding === "gsm_7" ? "GSM-7" : "UCS-2"} · ${counted.used}/${counted.room} · ${t.segments(counted.segments)}${counted.unusual.length ? ` · ${t.unusual(counted.unusual.slice(0, 5).join(" "))}` : ""}` : t.textHint}
        {...field}
        ref={(element) => {
          area.current = element;
          ref(element);
        }}
      />
      <p className="mt-1 flex flex-wrap gap-1 text-xs">
        {[...new Set(variables)].map((each) => (
          <button key={each} type="button" className="rounded bg-sunken px-1.5 py-0.5 font-mono text-dim hover:bg-hover hover:text-ink" onClick={() => insert(each)}>
            {`{{${each}}}`}
          </button>
        ))}
      </p>
    </div>
  );
}
