/** The secret that signs a connector's requests: made and shown once, or the customer's own. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Copy } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import { type Connector, TOUCHED } from "./queries";

/** A secret, shown this once. */
export function SecretDialog({ connector, onClose }: { connector: Connector; onClose: () => void }) {
  const t = useTexts("crm");
  return (
    <Dialog
      isOpen
      isOnce
      onClose={onClose}
      title={t.secretTitle}
      description={t.secretLead}
      size="md"
      actions={
        <Button look="primary" onClick={onClose}>
          {t.secretDone}
        </Button>
      }
    >
      {connector.secret && <Copy value={connector.secret} isSecret />}
      <p className="mt-3 text-[13px] text-dim">{t.secretUse}</p>
    </Dialog>
  );
}

/** As the API takes one: it is sent, and shown nowhere afterwards. */
export function OwnSecret({ value, error, onChange }: { value: string; error: string | undefined; onChange: (value: string) => void }) {
  const t = useTexts("crm");
  return <TextField label={t.ownSecret} hint={t.ownSecretHint} type="password" maxLength={128} autoComplete="new-password" error={error} value={value} onChange={(event) => onChange(event.target.value)} />;
}

export function RotateSecret({ connector, onClose }: { connector: Connector; onClose: () => void }) {
  const t = useTexts("crm");
  const shell = useTexts("shell");
  const attempt = useAttempt();
  const [own, setOwn] = useState("");
  const [fault, setFault] = useState<string>();
  const [made, setMade] = useState<Connector | null>(null);
  const rotate = useChange(
    (body: { secret?: string }) => data(api.POST("/api/crm-connectors/{id}/rotate-secret", { body, params: { path: { id: connector.id }, header: { "Idempotency-Key": attempt.key(body) } } })),
    TOUCHED,
    {
      onDone: (changed, { secret }) => {
        attempt.done();
        if (!secret) return setMade(changed);
        toast.done(t.rotated);
        onClose();
      },
      onError: (error) => {
        const { at, rest } = byField(error, ["secret"]);
        setFault(at.secret);
        return !rest;
      },
    },
  );
  if (made) return <SecretDialog connector={made} onClose={onClose} />;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.rotateTitle}
      description={t.rotateLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="danger" type="submit" form="rotate-secret" needs="integrations:write" busy={rotate.isPending}>
            {t.rotate}
          </Button>
        </>
      }
    >
      <form
        id="rotate-secret"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!rotate.isPending) rotate.mutate(own.trim() ? { secret: own.trim() } : {});
        }}
      >
        <OwnSecret value={own} error={fault} onChange={setOwn} />
      </form>
    </Dialog>
  );
}
