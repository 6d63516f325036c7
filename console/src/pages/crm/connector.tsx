/** One connector: its state and settings, a ping, its secret, and the log of what was asked. */
import { useNavigate, useParams } from "@tanstack/react-router";
import { KeyRound, Radio } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Facts, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { StatusBadge } from "./badges";
import { ConnectorFields, FIELDS, type Values, valuesOf } from "./form";
import { LogDialog, Logs } from "./logs";
import { type Connector, type Log, TOUCHED, patchConnector, useConnector } from "./queries";
import { RotateSecret } from "./secret";

export function ConnectorPage() {
  const t = useTexts("crm");
  const { id } = useParams({ from: "/shell/crm/$id" });
  const query = useConnector(id);
  return (
    <Page title={query.data?.name ?? t.connector} back={{ to: "/crm", label: t.title }} actions={query.data && <Actions connector={query.data} />}>
      <Loaded query={query} skeleton={<Skeleton lines={8} />}>
        {(connector) => (
          <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
            <div className="min-w-0 space-y-4">
              <State connector={connector} />
              <Logs id={connector.id} />
            </div>
            <div className="min-w-0 space-y-4">
              <Settings key={connector.id} connector={connector} />
              <Delete connector={connector} />
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Actions({ connector }: { connector: Connector }) {
  const t = useTexts("crm");
  const [answered, setAnswered] = useState<Log | null>(null);
  const [isRotating, setRotating] = useState(false);
  const path = { id: connector.id };
  const ping = useChange(() => data(api.POST("/api/crm-connectors/{id}/ping", { params: { path, header: { "Idempotency-Key": idempotencyKey() } } })), TOUCHED, { onDone: setAnswered });
  return (
    <>
      <Button icon={KeyRound} needs="integrations:write" onClick={() => setRotating(true)}>
        {t.rotate}
      </Button>
      <Button look="primary" icon={Radio} needs="integrations:write" busy={ping.isPending} onClick={() => ping.mutate(undefined)}>
        {t.ping}
      </Button>
      {isRotating && <RotateSecret connector={connector} onClose={() => setRotating(false)} />}
      {answered && <LogDialog log={answered} onClose={() => setAnswered(null)} />}
    </>
  );
}

function State({ connector }: { connector: Connector }) {
  const t = useTexts("crm");
  return (
    <Card title={t.state}>
      {connector.enabled && connector.failure && (
        <p role="alert" className="mb-3 rounded-control bg-bad-soft px-3 py-2 text-[13px] text-bad">
          {connector.failure}
        </p>
      )}
      <Facts
        items={[
          [t.status, <StatusBadge key="s" of={connector} />],
          [t.place, connector.position],
          connector.failing_since !== null && [t.failingSince, <Time key="f" at={connector.failing_since} />],
          connector.rests_until !== null && [t.restsUntil, <Time key="r" at={connector.rests_until} />],
          connector.old_secret_expires_at !== null && [t.oldSecret, <Time key="o" at={connector.old_secret_expires_at} />],
          [t.created, <Time key="c" at={connector.created_at} />],
        ]}
      />
    </Card>
  );
}

function Settings({ connector }: { connector: Connector }) {
  const t = useTexts("crm");
  const shell = useTexts("shell");
  const isOff = !useCan("integrations:write");
  const { register, handleSubmit, setError, reset, formState } = useForm<Values>({ values: valuesOf(connector), resetOptions: { keepDirtyValues: true } });
  const { errors, isDirty, dirtyFields } = formState;
  const save = useChange((values: Values) => patchConnector(connector.id, Object.fromEntries(FIELDS.filter((name) => dirtyFields[name]).map((name) => [name, values[name]]))), TOUCHED, {
    onDone: (saved, values) => {
      reset(valuesOf(saved));
      toast.done(hostOf(values.base_url) === hostOf(connector.base_url) ? shell.saved : t.savedOtherHost);
    },
    onError: (error) => {
      const { at, rest } = byField(error, FIELDS);
      for (const name of FIELDS) if (at[name]) setError(name, { message: at[name] });
      return !rest;
    },
  });
  return (
    <Card title={t.settings}>
      <form noValidate onSubmit={(event) => void handleSubmit((values) => save.mutate(values))(event)}>
        <ConnectorFields register={register} errors={errors} isOff={isOff} />
        <div className="mt-3">
          <Button look="primary" type="submit" needs="integrations:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged}>
            {shell.save}
          </Button>
        </div>
      </form>
      <Unsaved isDirty={isDirty && !save.isPending} />
    </Card>
  );
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? url;
}

function Delete({ connector }: { connector: Connector }) {
  const t = useTexts("crm");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const remove = useChange(() => api.DELETE("/api/crm-connectors/{id}", { params: { path: { id: connector.id } } }), [["crm", "list"], ["crm", "choices"]], {
    onDone: () => {
      toast.done(t.deleted(connector.name));
      void navigate({ to: "/crm" });
    },
  });
  return (
    <Card title={t.danger}>
      <p className="mb-3 text-dim">{t.deleteLead}</p>
      <Button look="danger" needs="integrations:write" onClick={() => setAsked(true)}>
        {t.delete}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.deleteTitle(connector.name)} verb={shell.delete} typed={connector.name} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
        <p>{t.deleteLead}</p>
      </Confirm>
    </Card>
  );
}
