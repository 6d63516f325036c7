/** A webhook's settings: only what was changed is sent. */
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { byField } from "@/lib/refusals";
import { Button } from "@/ui/button";
import { Card, Facts, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { Unsaved } from "@/ui/unsaved";
import { type Faults, WebhookFields } from "../form";
import type { Webhook } from "../queries";
import { FIELDS, type Values, changesOf, lostHeaders, valuesOf } from "../values";

export function Settings({ webhook }: { webhook: Webhook }) {
  const t = useTexts("webhooks");
  const isOff = !useCan("webhooks:write");
  const [kept, setKept] = useState<Values>(() => valuesOf(webhook));
  const [values, setValues] = useState<Values>(kept);
  const [faults, setFaults] = useState<Faults>({});
  const changes = changesOf(kept, values);
  const isDirty = Object.keys(changes).length > 0;
  const lost = lostHeaders(kept, values);
  const save = useChange((body: Schemas["WebhookPatch"]) => data(api.PATCH("/api/webhooks/{id}", { params: { path: { id: webhook.id } }, body })), [["webhooks"]], {
    onDone: (saved) => {
      setKept(valuesOf(saved));
      setValues(valuesOf(saved));
      setFaults({});
      toast.done(t.saved);
    },
    onError: (error) => {
      const { at, rest } = byField(error, FIELDS);
      setFaults(at);
      return !rest;
    },
  });
  return (
    <div className="grid max-w-4xl items-start gap-4 lg:grid-cols-[3fr_2fr]">
      <Card>
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            if (isDirty && !save.isPending) save.mutate(changes);
          }}
        >
          <WebhookFields values={values} onChange={setValues} faults={faults} isOff={isOff} />
          {lost.length > 0 && (
            <p role="status" className="mt-3 rounded-control bg-warn-soft px-3 py-2 text-warn">
              {t.lostHeaders(lost.join(", "))}
            </p>
          )}
          <div className="mt-5 flex items-center gap-2 border-t border-line pt-4">
            <Button look="primary" type="submit" needs="webhooks:write" busy={save.isPending} off={isDirty ? null : t.nothingChanged}>
              {t.save}
            </Button>
            {isDirty && (
              <Button
                onClick={() => {
                  setValues(kept);
                  setFaults({});
                }}
              >
                {t.revert}
              </Button>
            )}
          </div>
        </form>
      </Card>
      <Card title={t.facts}>
        <Facts
          items={[
            [t.lastDelivered, <Time key="d" at={webhook.last_delivered_at} />],
            [t.lastFailed, <Time key="f" at={webhook.last_failed_at} />],
            [t.createdAt, <Time key="c" at={webhook.created_at} />],
            [t.changedAt, <Time key="u" at={webhook.updated_at} />],
            ["ID", <code key="i" className="font-mono text-xs break-all">{webhook.id}</code>],
          ]}
        />
        <p className="mt-3 text-xs text-dim">{t.verifyLead}</p>
      </Card>
      <Unsaved isDirty={isDirty && !save.isPending} />
    </div>
  );
}
