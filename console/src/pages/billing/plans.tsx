import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data, idempotencyKey } from "@/api/client";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Card } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { isSmaller } from "./costs";
import { offerOf } from "./offers";
import { type BillingState, type Plan, RETURN_TO, useUpdateSubscription } from "./queries";

const LIMITS = ["numbers", "minutes", "messages", "seats"] as const;

export function Plans({ billing }: { billing: BillingState }) {
  const t = useTexts("billing");
  return (
    <section aria-label={t.choose}>
      <h2 className="mb-2 text-sm">{t.choose}</h2>
      <ul className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
        {billing.plans.map((plan) => (
          <li key={plan.id}>
            <Card>
              <div className="flex items-center justify-between gap-2">
                <h3 className="truncate text-base">{plan.name}</h3>
                {plan.id === billing.plan?.id && <Badge tone="accent">{t.current}</Badge>}
              </div>
              <p className="mt-0.5 min-h-5 text-dim">{plan.price_text}</p>
              <ul className="mt-3 mb-4 space-y-1 text-[13px]">
                {LIMITS.map((each) => (
                  <li key={each}>{plan[each] === null ? `${t.resources[each]}: ${t.none}` : t.limit[each]?.(count(plan[each]))}</li>
                ))}
              </ul>
              <Choose plan={plan} billing={billing} />
            </Card>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A first plan is paid for at the checkout; a subscription is changed here, after a question. */
function Choose({ plan, billing }: { plan: Plan; billing: BillingState }) {
  const t = useTexts("billing");
  const [isAsked, setAsked] = useState(false);
  const [key] = useState(idempotencyKey);
  const checkout = useChange(
    () => data(api.POST("/api/billing/checkout", { body: { plan: plan.id, return_to: RETURN_TO }, params: { header: { "Idempotency-Key": key } } })),
    [],
    { onDone: ({ url }) => location.assign(url) },
  );
  const update = useUpdateSubscription(() => {
    setAsked(false);
    toast.done(t.changed(plan.name));
  });
  const offer = offerOf(plan, billing.subscription);
  if (offer === "current") return null;
  if (offer === "individual" || offer === "notForSale") return <p className="text-[13px] text-dim">{t[offer]}</p>;
  if (offer === "take")
    return (
      <Button look="primary" needs="billing:write" busy={checkout.isPending} aria-label={t.takeOf(plan.name)} onClick={() => checkout.mutate(undefined)}>
        {t.take}
      </Button>
    );
  return (
    <>
      <Button needs="billing:write" aria-label={t.changeOf(plan.name)} onClick={() => setAsked(true)}>
        {t.change}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.changeTitle(plan.name)} verb={t.change} isBusy={update.isPending} onConfirm={() => update.mutate({ plan: plan.id })}>
        <p>{t.changeLead(plan.price_text ?? "")}</p>
        {billing.plan && isSmaller(plan, billing.plan) && <p className="mt-2">{t.smaller}</p>}
      </Confirm>
    </>
  );
}
