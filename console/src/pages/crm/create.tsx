/** A new connector, and then its secret, once, unless it is the customer's own. */
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { useAttempt } from "@/lib/attempt";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { BLANK, ConnectorFields, FIELDS, type Values } from "./form";
import { type Connector, TOUCHED } from "./queries";
import { OwnSecret, SecretDialog } from "./secret";

export function CreateConnector({ onClose }: { onClose: () => void }) {
  const t = useTexts("crm");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const attempt = useAttempt();
  const [made, setMade] = useState<Connector | null>(null);
  const [own, setOwn] = useState("");
  const [ownFault, setOwnFault] = useState<string>();
  const { register, handleSubmit, setError, formState } = useForm<Values>({ defaultValues: BLANK });
  const leave = (id: string): void => {
    onClose();
    void navigate({ to: "/crm/$id", params: { id } });
  };
  const create = useChange((body: Values & { secret?: string }) => data(api.POST("/api/crm-connectors", { params: { header: { "Idempotency-Key": attempt.key(body) } }, body })), TOUCHED, {
    onDone: (connector, { secret }) => (secret ? leave(connector.id) : setMade(connector)),
    onError: (error) => {
      const { at, rest } = byField(error, [...FIELDS, "secret"]);
      setOwnFault(at.secret);
      for (const name of FIELDS) if (at[name]) setError(name, { message: at[name] });
      return !rest;
    },
  });
  if (made) return <SecretDialog connector={made} onClose={() => leave(made.id)} />;
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={t.create}
      description={t.createLead}
      size="md"
      actions={
        <>
          <Button onClick={onClose}>{shell.cancel}</Button>
          <Button look="primary" type="submit" form="create-connector" needs="integrations:write" busy={create.isPending}>
            {shell.create}
          </Button>
        </>
      }
    >
      <form id="create-connector" noValidate onSubmit={(event) => void handleSubmit((values) => create.mutate({ ...values, ...(own.trim() ? { secret: own.trim() } : {}) }))(event)}>
        <ConnectorFields register={register} errors={formState.errors} isOff={false} />
        <div className="mt-3">
          <OwnSecret value={own} error={ownFault} onChange={setOwn} />
        </div>
      </form>
    </Dialog>
  );
}
