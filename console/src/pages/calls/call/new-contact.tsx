/** Give a caller a name, from the page of their call. */
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { phone } from "@/lib/format";
import { otherParty } from "@/lib/party";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { toast } from "@/ui/toast";
import { type CallDetail } from "../queries";

type Values = { name: string; company: string; email: string };

export function NewContact({ call, onClose }: { call: CallDetail; onClose: () => void }) {
  const t = useTexts("call");
  const attempt = useAttempt();
  const form = useForm<Values>({ mode: "onTouched", defaultValues: { name: "", company: call.contact?.company ?? "", email: "" } });
  const save = useChange(
    async (values: Partial<Values>) => {
      const number = otherParty(call);
      // Callers become contacts without a name by themselves.
      if (call.contact) return data(api.PATCH("/api/contacts/{id}", { body: values, params: { path: { id: call.contact.id } } }));
      return data(api.POST("/api/contacts", { body: { phone_e164: number, ...values }, params: { header: { "Idempotency-Key": attempt.key(values) } } }));
    },
    [["calls"], ["contacts"]],
    {
      onDone: (contact) => {
        toast.done(t.contactSaved(contact.name ?? phone(contact.phone_e164)));
        onClose();
      },
      onError: (error) => {
        let isShown = false;
        for (const each of error.details) {
          if (each.field !== "name" && each.field !== "company" && each.field !== "email") continue;
          form.setError(each.field, { message: each.reason }, { shouldFocus: !isShown });
          isShown = true;
        }
        return isShown;
      },
    },
  );
  const submit = form.handleSubmit((values) => save.mutate(Object.fromEntries(Object.entries(values).filter(([, value]) => value.trim()).map(([name, value]) => [name, value.trim()]))));
  const { errors } = form.formState;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.makeContact}
      description={phone(otherParty(call))}
      actions={
        <>
          <Button onClick={onClose}>{t.cancel}</Button>
          <Button look="primary" needs="contacts:write" busy={save.isPending} onClick={() => void submit()}>
            {t.saveContact}
          </Button>
        </>
      }
    >
      <form noValidate onSubmit={(event) => void submit(event)}>
        <TextField label={t.name} maxLength={200} autoComplete="off" error={errors.name?.message} {...form.register("name", { required: t.nameFirst })} />
        <TextField label={t.company} maxLength={200} autoComplete="off" error={errors.company?.message} {...form.register("company")} />
        <TextField label={t.email} type="email" autoComplete="off" error={errors.email?.message} {...form.register("email")} />
        <button type="submit" hidden aria-hidden tabIndex={-1} />
      </form>
    </Dialog>
  );
}
