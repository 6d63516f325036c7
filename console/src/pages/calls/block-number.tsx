/** Block a number; also from a call's page, where the number is given. */
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { toast } from "@/ui/toast";

export function BlockNumber({ number = "", onClose }: { number?: string; onClose: () => void }) {
  const t = useTexts("calls");
  const attempt = useAttempt();
  const form = useForm({ defaultValues: { number, reason: "" } });
  const block = useChange(
    async (wanted: { phone_e164: string; reason?: string }) => {
      const body = { ...wanted, phone_e164: await inE164(wanted.phone_e164, "phone_e164") };
      return data(api.POST("/api/blocklist", { body, params: { header: { "Idempotency-Key": attempt.key(body) } } }));
    },
    [["blocklist"]],
    {
      onDone: (made) => {
        toast.done(t.blockedNow(phone(made.phone_e164)));
        onClose();
      },
      onError: (error) => {
        const bad = error.details.find((each) => each.field === "phone_e164" || each.field === "reason");
        if (bad) form.setError(bad.field === "reason" ? "reason" : "number", { message: bad.reason }, { shouldFocus: true });
        return Boolean(bad);
      },
    },
  );
  const submit = form.handleSubmit((values) => block.mutate({ phone_e164: values.number, ...(values.reason.trim() ? { reason: values.reason.trim() } : {}) }));
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.block}
      description={t.blockLead}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="danger" needs="calls:write" busy={block.isPending} onClick={() => void submit()}>
            {t.blockIt}
          </Button>
        </>
      }
    >
      <form noValidate onSubmit={(event) => void submit(event)}>
        <TextField label={t.number} type="tel" autoComplete="off" readOnly={Boolean(number)} error={form.formState.errors.number?.message} {...form.register("number", { required: t.numberFirst })} />
        <TextField label={t.why} hint={t.whyHint} maxLength={500} error={form.formState.errors.reason?.message} {...form.register("reason")} />
        <button type="submit" hidden aria-hidden tabIndex={-1} />
      </form>
    </Dialog>
  );
}
