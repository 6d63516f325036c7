/** Passing a live call on: to a number, to a target of the agent's transfer map, to another agent, or to oneself. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api } from "@/api/client";
import { useAllFlows, useFlow } from "@/api/flows";
import { useMe } from "@/api/me";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { SelectField, Switch, TextArea, TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import type { CallDetail } from "../queries";

interface Target {
  to?: string;
  label?: string;
  flow_id?: string;
  summary?: string;
  accept_key?: boolean;
}

type Way = "number" | "label" | "flow";

export function Transfer({ call, onClose }: { call: CallDetail; onClose: () => void }) {
  const t = useTexts("call");
  const { data: flows } = useAllFlows();
  const { data: flow } = useFlow(call.flow_id);
  const labels = Object.keys(flow?.transfer_map_json ?? {});
  const others = flows?.filter((each) => each.channel === "voice" && each.id !== call.flow_id) ?? [];
  const [chosen, setWay] = useState<Way>();
  const way = chosen ?? (labels.length > 0 ? "label" : "number");
  const [values, setValues] = useState({ to: "", label: "", flow: "", summary: call.summary_text ?? "", isToAccept: true });
  const { send, errors, isBusy } = useTransfer(call.id, onClose);
  const set = (change: Partial<typeof values>): void => setValues((old) => ({ ...old, ...change }));
  const submit = (): void => {
    const summary = values.summary.trim() ? { summary: values.summary.trim() } : {};
    if (way === "flow") send({ flow_id: values.flow || (others[0]?.id ?? "") });
    else if (way === "label") send({ label: values.label || (labels[0] ?? ""), ...summary });
    else send({ to: values.to, accept_key: values.isToAccept, ...summary });
  };
  const ways = [{ value: "number", label: t.toNumber }, ...(labels.length > 0 ? [{ value: "label", label: t.toLabel }] : []), ...(others.length > 0 ? [{ value: "flow", label: t.toFlow }] : [])];
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.transfer}
      description={way === "flow" ? t.transferFlowLead : t.transferLead}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="primary" needs="calls:write" busy={isBusy} onClick={submit}>
            {t.transfer}
          </Button>
        </>
      }
    >
      <SelectField label={t.where} value={way} choices={ways} onChange={(event) => setWay(event.target.value as Way)} />
      {way === "number" && <TextField label={t.number} type="tel" placeholder="+13175550123" value={values.to} error={errors["to"]} onChange={(event) => set({ to: event.target.value })} />}
      {way === "label" && <SelectField label={t.target} value={values.label || labels[0]} error={errors["label"]} choices={labels.map((each) => ({ value: each, label: each }))} onChange={(event) => set({ label: event.target.value })} />}
      {way === "flow" && <SelectField label={t.agent} value={values.flow} error={errors["flow_id"]} choices={others.map((each) => ({ value: each.id, label: each.name }))} onChange={(event) => set({ flow: event.target.value })} />}
      {way !== "flow" && <TextArea label={t.whisper} hint={t.whisperHint} rows={3} maxLength={500} value={values.summary} error={errors["summary"]} onChange={(event) => set({ summary: event.target.value })} />}
      {way === "number" && <Switch label={t.mustAccept} hint={t.mustAcceptHint} checked={values.isToAccept} onChange={(event) => set({ isToAccept: event.target.checked })} />}
    </Dialog>
  );
}

/** Send a transfer; refusals of fields are shown at them. */
function useTransfer(id: string, onClose: () => void) {
  const attempt = useAttempt();
  const [errors, setErrors] = useState<Record<string, string>>({});
  const change = useChange(
    async (target: Target) => {
      const body = target.to === undefined ? target : { ...target, to: await inE164(target.to, "to") };
      return api.POST("/api/calls/{id}/transfer", { body: body as never, params: { path: { id }, header: { "Idempotency-Key": attempt.key(body) } } });
    },
    [["calls", id]],
    {
      onDone: () => {
        attempt.done();
        onClose();
      },
      onError: (error) => {
        setErrors(Object.fromEntries(error.details.map((each) => [each.field, each.reason])));
        return error.details.length > 0;
      },
    },
  );
  return { send: (body: Target) => change.mutate(body), errors, isBusy: change.isPending };
}

/** Where one's own telephone is, is remembered on this device. */
const MY_NUMBER = "hum.my-number.";

export function TakeOver({ call, onClose }: { call: CallDetail; onClose: () => void }) {
  const t = useTexts("call");
  const attempt = useAttempt();
  const place = MY_NUMBER + (useMe().user?.id ?? "");
  const [to, setTo] = useState(() => localStorage.getItem(place) ?? "");
  const [fault, setFault] = useState<string>();
  const take = useChange(
    async (text: string) => {
      const number = await inE164(text, "to");
      return api.POST("/api/calls/{id}/take-over", { body: { to: number }, params: { path: { id: call.id }, header: { "Idempotency-Key": attempt.key(number) } } });
    },
    [["calls", call.id]],
    {
      onDone: (_, number) => {
        localStorage.setItem(place, number);
        attempt.done();
        toast.done(t.yourPhoneRings);
        onClose();
      },
      onError: (error) => {
        setFault(error.details.find((each) => each.field === "to")?.reason);
        return error.details.some((each) => each.field === "to");
      },
    },
  );
  const submit = (): void => take.mutate(to);
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.takeOver}
      description={t.takeOverLead}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="primary" needs="calls:write" busy={take.isPending} off={to.trim() ? null : t.numberFirst} onClick={submit}>
            {t.takeOver}
          </Button>
        </>
      }
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <TextField label={t.yourNumber} type="tel" autoComplete="tel" placeholder="+13175550123" value={to} error={fault} onChange={(event) => setTo(event.target.value)} />
      </form>
    </Dialog>
  );
}
