/** What is asked before a webhook gets another secret, is sent things again, or is deleted. */
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { MomentField } from "@/ui/moment";
import { toast } from "@/ui/toast";
import type { Webhook } from "../queries";
import { SecretDialog } from "../secret";

interface Props {
  webhook: Webhook;
  onClose: () => void;
}

export function Rotate({ webhook, onClose }: Props) {
  const t = useTexts("webhooks");
  const attempt = useAttempt();
  const [secret, setSecret] = useState<string>();
  const rotate = useChange(
    () => data(api.POST("/api/webhooks/{id}/rotate-secret", { body: {}, params: { path: { id: webhook.id }, header: { "Idempotency-Key": attempt.key("rotate") } } })),
    [["webhooks"]],
    { onDone: (found) => setSecret(found.secret ?? "") },
  );
  if (secret) return <SecretDialog secret={secret} lead={t.rotatedLead} onClose={onClose} />;
  return (
    <Confirm isOpen onClose={onClose} title={t.rotateTitle} verb={t.rotate} needs="webhooks:write" isBusy={rotate.isPending} onConfirm={() => rotate.mutate(undefined)}>
      <p>{t.rotateLead}</p>
    </Confirm>
  );
}

type Which = "both" | "failed" | "missed";

export function Replay({ webhook, onClose }: Props) {
  const t = useTexts("webhooks");
  const shell = useTexts("shell");
  const attempt = useAttempt();
  const [since, setSince] = useState<Date | null>(null);
  const [which, setWhich] = useState<Which>("both");
  const [fault, setFault] = useState<string>();
  const replay = useChange(
    (body: Schemas["ReplayWebhookRequestInput"]) => data(api.POST("/api/webhooks/{id}/replay", { body, params: { path: { id: webhook.id }, header: { "Idempotency-Key": attempt.key(body) } } })),
    [["webhooks", webhook.id]],
    {
      onDone: (found) => {
        toast.done(found.has_more ? t.replayedPart(found.queued) : t.replayed(found.queued));
        onClose();
      },
      onError: (error) => {
        const { at, rest } = byField(error, ["since"] as const);
        setFault(at.since);
        return !rest;
      },
    },
  );
  const submit = (): void => replay.mutate({ ...(since ? { since: since.toISOString() } : {}), ...(which === "both" ? {} : { state: which }) });
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.replayTitle}
      description={t.replayLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" needs="webhooks:write" off={webhook.status === "disabled" ? t.enableFirst : null} busy={replay.isPending} onClick={submit}>
            {t.replayIt}
          </Button>
        </>
      }
    >
      <SelectField label={t.which} choices={(["both", "failed", "missed"] as const).map((value) => ({ value, label: t.whichOnes[value] }))} value={which} onChange={(event) => setWhich(event.target.value === "failed" || event.target.value === "missed" ? event.target.value : "both")} />
      <MomentField label={t.since} hint={t.sinceHint} error={fault} value={since} onChange={setSince} />
    </Dialog>
  );
}

export function DeleteWebhook({ webhook, onClose }: Props) {
  const t = useTexts("webhooks");
  const navigate = useNavigate();
  const remove = useChange(() => api.DELETE("/api/webhooks/{id}", { params: { path: { id: webhook.id } } }), [["webhooks", "list"]], {
    onDone: () => {
      toast.done(t.deleted);
      void navigate({ to: "/webhooks" });
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteTitle} verb={t.delete} typed={serverOf(webhook.url)} needs="webhooks:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p>{t.deleteLead}</p>
    </Confirm>
  );
}

function serverOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
