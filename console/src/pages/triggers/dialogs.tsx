/** What is asked before a trigger gets another address or secret, loses its secret, or is deleted. */
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Confirm, Dialog } from "@/ui/dialog";
import { SelectField, TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import type { Trigger } from "./queries";
import { ShownOnce } from "./shown-once";

interface Props {
  trigger: Trigger;
  onClose: () => void;
}

const OVERLAPS_SECONDS = [0, 3600, 86_400, 604_800] as const;

function Overlap({ value, onChange }: { value: number; onChange: (seconds: number) => void }) {
  const t = useTexts("triggers");
  return <SelectField label={t.overlap} hint={t.overlapHint} choices={OVERLAPS_SECONDS.map((each) => ({ value: String(each), label: t.overlaps[each] }))} value={String(value)} onChange={(event) => onChange(Number(event.target.value))} />;
}

function Ask({ title, lead, verb, isBusy, onClose, onConfirm, children }: { title: string; lead: string; verb: string; isBusy: boolean; onClose: () => void; onConfirm: () => void; children: ReactNode }) {
  const shell = useTexts("shell");
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={title}
      description={lead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" needs="integrations:write" busy={isBusy} onClick={onConfirm}>
            {verb}
          </Button>
        </>
      }
    >
      {children}
    </Dialog>
  );
}

export function RotateToken({ trigger, onClose }: Props) {
  const t = useTexts("triggers");
  const attempt = useAttempt();
  const [overlap, setOverlap] = useState(0);
  const [made, setMade] = useState<Trigger>();
  const rotate = useChange(
    (body: Schemas["RotateTriggerTokenRequestInput"]) => data(api.POST("/api/triggers/{id}/rotate-token", { body, params: { path: { id: trigger.id }, header: { "Idempotency-Key": attempt.key(body) } } })),
    [["triggers"]],
    { onDone: setMade },
  );
  if (made) return <ShownOnce trigger={made} lead={t.addressLead} onClose={onClose} />;
  return (
    <Ask title={t.newAddressTitle} lead={t.newAddressLead} verb={t.newAddress} isBusy={rotate.isPending} onClose={onClose} onConfirm={() => rotate.mutate({ overlap_seconds: overlap })}>
      <Overlap value={overlap} onChange={setOverlap} />
    </Ask>
  );
}

export function RotateSecret({ trigger, onClose }: Props) {
  const t = useTexts("triggers");
  const attempt = useAttempt();
  const [overlap, setOverlap] = useState(0);
  const [own, setOwn] = useState("");
  const [fault, setFault] = useState<string>();
  const [made, setMade] = useState<Trigger>();
  const rotate = useChange(
    (body: Schemas["RotateTriggerSecretRequestInput"]) => data(api.POST("/api/triggers/{id}/rotate-secret", { body, params: { path: { id: trigger.id }, header: { "Idempotency-Key": attempt.key(body) } } })),
    [["triggers"]],
    {
      onDone: setMade,
      onError: (error) => {
        const { at, rest } = byField(error, ["secret"] as const);
        setFault(at.secret);
        return !rest;
      },
    },
  );
  if (made) return <ShownOnce trigger={made} lead={t.secretLead} onClose={onClose} />;
  const verb = trigger.signed ? t.rotateSecret : t.addSecret;
  return (
    <Ask title={verb} lead={t.rotateSecretLead} verb={verb} isBusy={rotate.isPending} onClose={onClose} onConfirm={() => rotate.mutate({ overlap_seconds: overlap, ...(own.trim() ? { secret: own.trim() } : {}) })}>
      <TextField label={t.ownSecret} hint={t.ownSecretHint} error={fault} maxLength={128} autoComplete="off" spellCheck={false} value={own} onChange={(event) => setOwn(event.target.value)} />
      {trigger.signed && <Overlap value={overlap} onChange={setOverlap} />}
    </Ask>
  );
}

export function RemoveSecret({ trigger, onClose }: Props) {
  const t = useTexts("triggers");
  const remove = useChange(() => api.DELETE("/api/triggers/{id}/secret", { params: { path: { id: trigger.id } } }), [["triggers"]], {
    onDone: () => {
      toast.done(t.secretRemoved);
      onClose();
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.removeSecret} verb={t.removeSecret} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p>{t.removeSecretLead}</p>
    </Confirm>
  );
}

export function DeleteTrigger({ trigger, onClose }: Props) {
  const t = useTexts("triggers");
  const navigate = useNavigate();
  const remove = useChange(() => api.DELETE("/api/triggers/{id}", { params: { path: { id: trigger.id } } }), [["triggers", "list"]], {
    onDone: () => {
      toast.done(t.deleted(trigger.name));
      void navigate({ to: "/triggers" });
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.deleteTitle(trigger.name)} verb={t.delete} typed={trigger.name} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p>{t.deleteLead}</p>
    </Confirm>
  );
}
