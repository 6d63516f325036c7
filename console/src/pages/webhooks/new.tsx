/** A new webhook: for whom, where, and which events; then its secret, once. */
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button, ButtonLink } from "@/ui/button";
import { Card, GuideLink, Page } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { type Faults, WebhookFields } from "./form";
import { type Webhook, usePresets } from "./queries";
import { SecretDialog } from "./secret";
import { BLANK, FIELDS, bodyOf, withPreset } from "./values";

export function NewWebhook() {
  const t = useTexts("webhooks");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const isOff = !useCan("webhooks:write");
  const presets = usePresets().data ?? [];
  const attempt = useAttempt();
  const [values, setValues] = useState(BLANK);
  const [faults, setFaults] = useState<Faults>({});
  const [made, setMade] = useState<Webhook>();
  const preset = presets.find((each) => each.name === values.preset);
  const create = useChange(
    (body: ReturnType<typeof bodyOf>) => data(api.POST("/api/webhooks", { body, params: { header: { "Idempotency-Key": attempt.key(body) } } })),
    [["webhooks"]],
    {
      onDone: setMade,
      onError: (error) => {
        const { at, rest } = byField(error, FIELDS);
        setFaults(at);
        if (error.code === "idempotency_mismatch") attempt.done();
        return !rest;
      },
    },
  );
  const isDirty = JSON.stringify(values) !== JSON.stringify(BLANK);
  const finish = (): void => void navigate({ to: "/webhooks/$id", params: { id: made?.id ?? "" }, ignoreBlocker: true });
  return (
    <Page title={t.create} guide="/guides/webhooks" back={{ to: "/webhooks", label: t.title }}>
      <form
        noValidate
        className="grid max-w-4xl items-start gap-4 lg:grid-cols-[3fr_2fr]"
        onSubmit={(event) => {
          event.preventDefault();
          if (!values.url.trim()) setFaults({ url: t.urlFirst });
          else if (!create.isPending && !isOff) create.mutate(bodyOf(values));
        }}
      >
        <Card>
          <WebhookFields values={values} onChange={setValues} faults={faults} isOff={isOff} preset={preset} />
          <div className="mt-5 flex gap-2 border-t border-line pt-4">
            <Button look="primary" type="submit" needs="webhooks:write" busy={create.isPending}>
              {t.createIt}
            </Button>
            <ButtonLink to="/webhooks">{shell.cancel}</ButtonLink>
          </div>
        </Card>
        <div className="max-lg:order-first">
          <Card title={t.receiver}>
            <div role="group" aria-label={t.receiver} className="flex flex-wrap gap-2">
              {[undefined, ...presets].map((each) => (
                <button
                  key={each?.name ?? ""}
                  type="button"
                  aria-pressed={values.preset === (each?.name ?? "")}
                  className="rounded-control border border-line px-2.5 py-1.5 hover:bg-hover aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent"
                  onClick={() => setValues(withPreset(values, each))}
                >
                  {each ? (t.receivers[each.name]?.title ?? each.title) : t.ownServer}
                </button>
              ))}
            </div>
            <p className="mt-3 text-dim">
              {preset ? (t.receivers[preset.name]?.lead ?? preset.instructions) : t.ownServerLead} {values.format === "event" && <GuideLink to="/guides/webhooks#verify">{t.verifyGuide}</GuideLink>}
            </p>
          </Card>
        </div>
      </form>
      <Unsaved isDirty={isDirty && !made} />
      {made?.secret && (
        <SecretDialog
          secret={made.secret}
          lead={t.secretLead}
          onClose={() => {
            toast.done(t.created);
            finish();
          }}
        />
      )}
    </Page>
  );
}
