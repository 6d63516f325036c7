import { useBlocker, useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { useWatch } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { segmentsOf } from "@/lib/segments";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { type Audience, firstOf, previewOf, unfilled, variablesOf } from "./audience";
import { Adding, AudienceFields } from "./audience-card";
import { CampaignFields, type Values, bodyOf, showFaults, useCampaignForm, useSharedValues } from "./form";
import { addAudience } from "./queries";

/** A new campaign: it becomes a draft with its recipients, and the draft's page shows what a launch would do. */
export function NewCampaign() {
  const t = useTexts("campaigns");
  const navigate = useNavigate();
  const form = useCampaignForm();
  const [audience, setAudience] = useState<Audience | null>(null);
  const [share, setShare] = useState(0);
  const [isDone, setDone] = useState(false);
  const attempt = useRef({ key: idempotencyKey(), said: "", audienceKey: idempotencyKey(), draftId: "" });
  const isDirty = (form.formState.isDirty || audience !== null) && !isDone;
  const blocker = useBlocker({ shouldBlockFn: () => isDirty, enableBeforeUnload: () => isDirty, withResolver: true });
  const save = useChange(
    async (values: Values) => {
      setShare(0);
      const body = bodyOf(values);
      const filled = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) as { name: string; twilio_number_id: string };
      // A draft that was made before a break is changed and not made twice.
      const said = JSON.stringify(filled);
      if (attempt.current.said && attempt.current.said !== said) attempt.current.key = idempotencyKey(); // another campaign is another request
      attempt.current.said = said;
      const { draftId, key, audienceKey } = attempt.current;
      const draft = draftId
        ? await data(api.PATCH("/api/sms/campaigns/{id}", { params: { path: { id: draftId } }, body }))
        : await data(api.POST("/api/sms/campaigns", { params: { header: { "Idempotency-Key": key } }, body: filled }));
      attempt.current.draftId = draft.id;
      return { id: draft.id, added: audience && (await addAudience(draft.id, audience, audienceKey, setShare)) };
    },
    [["campaigns"]],
    {
      onDone: ({ id, added }) => {
        if (added) toast.done(t.addedDone(added.added, added.duplicates, added.invalid));
        setDone(true);
        void navigate({ to: "/campaigns/$id", params: { id }, ignoreBlocker: true });
      },
      onError: (refusal) => showFaults(form, refusal.details),
    },
  );
  return (
    <Page title={t.create} lead={t.createLead} back={{ to: "/campaigns", label: t.title }}>
      <form onSubmit={(event) => void form.handleSubmit((values) => save.mutate(values))(event)} className="grid max-w-6xl gap-4 lg:grid-cols-[minmax(0,1.2fr)_minmax(0,1fr)]">
        <Card title={t.what}>
          <CampaignFields form={form} variables={audience ? variablesOf(audience) : []} />
        </Card>
        <div className="grid content-start gap-4 lg:sticky lg:top-4">
          <Card title={t.audience}>
            <AudienceFields
              audience={audience}
              onChange={(next) => {
                setAudience(next);
                attempt.current.audienceKey = idempotencyKey();
              }}
            />
          </Card>
          <Preview form={form} audience={audience} />
          <div className="flex flex-wrap items-center gap-3">
            <Button look="primary" type="submit" needs="campaigns:write" busy={save.isPending} onClick={() => undefined}>
              {t.saveDraft}
            </Button>
            {!save.isPending ? <span className="text-[13px] text-dim">{t.nothingSentYet}</span> : <Adding share={share} />}
          </div>
        </div>
      </form>
      <Confirm isOpen={blocker.status === "blocked"} onClose={() => blocker.reset?.()} title={t.leaveTitle} verb={t.leave} onConfirm={() => blocker.proceed?.()}>
        {t.leaveLead}
      </Confirm>
    </Page>
  );
}

/** The first text as its recipient gets it, and which of its variables nothing here fills. */
function Preview({ form, audience }: { form: ReturnType<typeof useCampaignForm>; audience: Audience | null }) {
  const t = useTexts("campaigns");
  const [body, numberId] = useWatch({ control: form.control, name: ["body_template", "twilio_number_id"] });
  const shared = useSharedValues(numberId);
  if (!body.trim()) return null;
  const first = audience ? firstOf(audience) : undefined;
  const text = previewOf(body, { ...shared, ...(first?.variables as Record<string, string> | undefined) });
  const { unsent, worded } = unfilled(body, audience ? variablesOf(audience) : []);
  const shown = (names: readonly string[]): string => names.map((each) => `{{${each}}}`).join(" ");
  return (
    <Card title={first ? t.previewFor(phone(first.contact_e164)) : t.preview} actions={<span className="text-[13px] text-dim">{t.segments(segmentsOf(text).segments)}</span>}>
      <p className="ml-auto w-fit max-w-[90%] rounded-2xl rounded-br-md bg-accent-soft px-3.5 py-2 whitespace-pre-wrap">{text}</p>
      {unsent.length > 0 && <p className="mt-3 text-[13px] text-warn">{t.noValueFor(shown(unsent))}</p>}
      {worded.length > 0 && <p className="mt-3 text-[13px] text-warn">{t.onlyWordFor(shown(worded))}</p>}
    </Card>
  );
}
