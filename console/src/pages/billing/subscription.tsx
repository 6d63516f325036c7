import { ExternalLink } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { shortTime } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { Badge, Card, Facts, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { type BillingState, RETURN_TO, type SubscriptionState, useUpdateSubscription } from "./queries";

const GOOD: readonly string[] = ["active", "trialing"];

export function Subscription({ billing, subscription }: { billing: BillingState; subscription: SubscriptionState }) {
  const t = useTexts("billing");
  const status = subscription.status;
  return (
    <Card title={t.status} actions={<Portal />}>
      <Facts
        items={[
          [t.status, status ? <Badge key="s" tone={GOOD.includes(status) ? "good" : "bad"}>{t.statuses[status]}</Badge> : null],
          subscription.grace_ends_at ? [t.grace, <Time key="g" at={subscription.grace_ends_at} />] : null,
          [subscription.cancel_at_period_end ? t.ends : t.renews, <Time key="e" at={subscription.period_ends_at} />],
          billing.plan?.sells_seats && [t.extraSeats, subscription.individual_price ? t.individual : <Seats key={`seats ${subscription.extra_seats}`} seats={subscription.extra_seats} />],
        ]}
      />
      <div className="mt-4">
        <End subscription={subscription} />
      </div>
    </Card>
  );
}

/** Stripe's page for invoices and ways to pay; its address is for this person, so it is asked for at the click. */
function Portal() {
  const t = useTexts("billing");
  const open = useChange(() => data(api.POST("/api/billing/portal", { body: { return_to: RETURN_TO } })), [], { onDone: ({ url }) => location.assign(url) });
  return (
    <Button size="sm" icon={ExternalLink} needs="billing:write" busy={open.isPending} onClick={() => open.mutate(undefined)}>
      {t.portal}
    </Button>
  );
}

function Seats({ seats }: { seats: number }) {
  const t = useTexts("billing");
  const [text, setText] = useState(String(seats));
  const wanted = Number(text);
  const isRight = Number.isInteger(wanted) && wanted >= 0 && wanted <= 10_000;
  const save = useUpdateSubscription(() => toast.done(t.seatsSaved));
  return (
    <form
      className="flex items-center gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight && wanted !== seats && !save.isPending) save.mutate({ extra_seats: wanted });
      }}
    >
      <div className="w-24">
        <TextField isBare type="number" min={0} max={10_000} label={t.extraSeats} title={t.seatsHint} value={text} onChange={(event) => setText(event.target.value)} />
      </div>
      <Button type="submit" size="sm" needs="billing:write" busy={save.isPending} off={isRight && wanted !== seats ? null : t.seatsHint}>
        {t.saveSeats}
      </Button>
    </form>
  );
}

function End({ subscription }: { subscription: SubscriptionState }) {
  const t = useTexts("billing");
  const zone = useZone();
  const [isAsked, setAsked] = useState(false);
  const update = useUpdateSubscription((billing) => {
    setAsked(false);
    toast.done(billing.subscription?.cancel_at_period_end ? t.canceled : t.resumed);
  });
  if (subscription.status === "canceled") return null;
  if (subscription.cancel_at_period_end)
    return (
      <Button needs="billing:write" busy={update.isPending} onClick={() => update.mutate({ cancel_at_period_end: false })}>
        {t.resume}
      </Button>
    );
  return (
    <>
      <Button look="danger" needs="billing:write" onClick={() => setAsked(true)}>
        {t.cancel}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.cancelTitle} verb={t.cancel} isBusy={update.isPending} onConfirm={() => update.mutate({ cancel_at_period_end: true })}>
        <p>{t.cancelLead(subscription.period_ends_at ? shortTime(subscription.period_ends_at, zone) : "")}</p>
      </Confirm>
    </>
  );
}
