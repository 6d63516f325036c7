/** Take a number that the carrier account holds. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { inE164 } from "@/api/phones";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import { TOUCHED } from "./queries";

export function Register({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const t = useTexts("numbers");
  const shell = useTexts("shell");
  const [e164, setE164] = useState("");
  const [fault, setFault] = useState<string>();
  const [key, setKey] = useState(idempotencyKey);
  const register = useChange(
    async (text: string) => data(api.POST("/api/numbers", { body: { e164: await inE164(text, "e164") }, params: { header: { "Idempotency-Key": key } } })),
    TOUCHED,
    {
      onDone: (number) => {
        toast.done(t.registered(phone(number.e164)));
        setE164("");
        setKey(idempotencyKey());
        onClose();
      },
      onError: (error) => {
        setFault(byField(error, ["e164"]).at.e164 ?? error.message);
        if (!error.isPassing) setKey(idempotencyKey());
        return true;
      },
    },
  );
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title={t.register}
      description={t.registerLead}
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" needs="numbers:write" type="submit" form="register-number" busy={register.isPending}>
            {t.registerIt}
          </Button>
        </>
      }
    >
      <form
        id="register-number"
        onSubmit={(event) => {
          event.preventDefault();
          if (!register.isPending) register.mutate(e164);
        }}
      >
        <TextField label={t.e164} error={fault} value={e164} required inputMode="tel" placeholder="+13175550100" onChange={(event) => { setE164(event.target.value); setFault(undefined); }} />
      </form>
    </Dialog>
  );
}
