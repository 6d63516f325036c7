import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { can, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { toPage } from "@/lib/links";
import { byField } from "@/lib/refusals";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { Card, Facts, Loaded, Page, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { Capabilities, StatusBadge, useAgentChoices } from "./parts";
import { type PhoneNumber, TOUCHED, useNumber } from "./queries";

/** One number: who answers, what it is called, and the way to give it back. */
export function NumberPage() {
  const t = useTexts("numbers");
  const { numberId } = useParams({ from: "/shell/numbers/$numberId" });
  const query = useNumber(numberId);
  const title = query.data ? phone(query.data.e164) : t.number;
  return (
    <Page
      title={title}
      back={{ to: "/numbers", label: t.back }}
      actions={
        query.data && (
          <ButtonLink {...toPage("/calls")} search={{ number: numberId } as never}>
            {t.calls}
          </ButtonLink>
        )
      }
    >
      <Loaded query={query}>
        {(number) => (
          <div className="grid max-w-4xl items-start gap-4 lg:grid-cols-[3fr_2fr]">
            <Settings key={number.id} number={number} />
            <div className="space-y-4">
              <Card title={t.facts}>
                <Facts
                  items={[
                    [t.status, <StatusBadge key="s" status={number.status} />],
                    [t.can, <Capabilities key="c" of={number.capabilities} />],
                    [t.added, <Time key="a" at={number.created_at} />],
                  ]}
                />
                {number.status === "gone" && <p className="mt-3 text-dim">{t.goneLead}</p>}
              </Card>
              <Release number={number} />
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

interface Values {
  friendly_name: string;
  flow_id: string;
  sms_flow_id: string;
  sms_enabled: boolean;
  texts_back: boolean;
  missed_call_text: string;
}

const FIELDS = ["friendly_name", "flow_id", "sms_flow_id", "sms_enabled", "missed_call_text"] as const;
const valuesOf = (number: PhoneNumber): Values => ({
  friendly_name: number.friendly_name ?? "",
  flow_id: number.flow_id ?? "",
  sms_flow_id: number.sms_flow_id ?? "",
  sms_enabled: number.sms_enabled,
  texts_back: number.missed_call_text !== null,
  missed_call_text: number.missed_call_text ?? "",
});

function Settings({ number }: { number: PhoneNumber }) {
  const t = useTexts("numbers");
  const isOff = !can(useMe(), "numbers:write");
  const { register, handleSubmit, setError, setValue, getValues, watch, reset, formState } = useForm<Values>({ values: valuesOf(number), resetOptions: { keepDirtyValues: true } });
  const { errors, isDirty, dirtyFields } = formState;
  const textsBack = watch("texts_back");
  const canText = number.capabilities.sms && watch("sms_enabled");
  const voiceChoices = useAgentChoices("voice", number.flow_id ?? "");
  const smsChoices = useAgentChoices("sms", number.sms_flow_id ?? "");
  const save = useChange(
    (values: Values) => {
      const body = Object.fromEntries(FIELDS.filter((name) => dirtyFields[name]).map((name) => [name, values[name] === "" ? null : values[name]]));
      if (!values.texts_back && number.missed_call_text !== null) body.missed_call_text = null;
      if (!values.texts_back && number.missed_call_text === null) delete body.missed_call_text;
      return data(api.PATCH("/api/numbers/{id}", { params: { path: { id: number.id } }, body }));
    },
    TOUCHED,
    {
      onDone: (saved) => {
        reset(valuesOf(saved));
        toast.done(t.saved);
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
      <form onSubmit={(event) => void handleSubmit((values) => save.mutate(values))(event)}>
        <TextField label={t.friendlyName} hint={t.friendlyNameHint} maxLength={64} disabled={isOff} error={errors.friendly_name?.message} {...register("friendly_name")} />
        <div className="mt-3">
          <SelectField label={t.voiceAgent} choices={voiceChoices} disabled={isOff || !number.capabilities.voice} error={errors.flow_id?.message} {...register("flow_id")} />
          <SelectField label={t.smsAgent} choices={smsChoices} disabled={isOff || !number.capabilities.sms} error={errors.sms_flow_id?.message} {...register("sms_flow_id")} />
        </div>
        <Switch label={t.smsEnabled} hint={number.capabilities.sms ? (errors.sms_enabled?.message ?? t.smsEnabledHint) : t.cannotText} disabled={isOff || !number.capabilities.sms} {...register("sms_enabled")} />
        <Switch
          label={t.textsBack}
          hint={canText || textsBack ? t.textsBackHint : t.textsBackOff}
          disabled={isOff || (!canText && !textsBack)}
          {...register("texts_back", {
            onChange: () => {
              if (getValues("texts_back") && !getValues("missed_call_text")) setValue("missed_call_text", t.missedCallTextFirst, { shouldDirty: true });
            },
          })}
        />
        {textsBack && <TextArea label={t.missedCallText} hint={t.missedCallTextHint} maxLength={1600} rows={3} disabled={isOff} error={errors.missed_call_text?.message} {...register("missed_call_text")} />}
        <div className="mt-4">
          <Button look="primary" type="submit" needs="numbers:write" busy={save.isPending} off={isDirty ? null : t.saved}>
            {t.save}
          </Button>
        </div>
      </form>
      <Unsaved isDirty={isDirty && !save.isPending} />
    </Card>
  );
}

function Release({ number }: { number: PhoneNumber }) {
  const t = useTexts("numbers");
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const release = useChange(() => api.DELETE("/api/numbers/{id}", { params: { path: { id: number.id } } }), [["numbers", "list"], ["numbers", "all"], ["dashboard"], ["billing"]], {
    onDone: () => {
      toast.done(t.released(phone(number.e164)));
      void navigate({ to: "/numbers" });
    },
  });
  return (
    <Card title={t.danger}>
      <p className="mb-3 text-dim">{t.dangerLead}</p>
      <Button look="danger" needs="numbers:write" onClick={() => setAsked(true)}>
        {t.release}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.releaseTitle(phone(number.e164))} verb={t.release} typed={number.e164} needs="numbers:write" isBusy={release.isPending} onConfirm={() => release.mutate(undefined)}>
        <p>{t.dangerLead}</p>
      </Confirm>
    </Card>
  );
}
