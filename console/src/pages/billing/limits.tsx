import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Bar } from "@/ui/figure";
import { Card, Time } from "@/ui/layout";
import { shareOf } from "./costs";
import type { BillingState, Quota } from "./queries";

/** What is used of what the plan allows. */
export function Limits({ billing }: { billing: BillingState }) {
  const t = useTexts("billing");
  const plan = billing.plan;
  return (
    <Card title={plan ? `${t.plan}: ${plan.name}` : t.plan} actions={<span className="text-[13px] text-dim">{billing.by_subscription ? t.bySubscription : t.own}</span>}>
      {plan?.price_text && <p className="mb-3 text-dim">{plan.price_text}</p>}
      <ul className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        {billing.resources.map((each) => (
          <Used key={each.resource} name={t.resources[each.resource]} {...each} whenReached={t.reached} />
        ))}
      </ul>
      {billing.period_starts_at && (
        <p className="mt-4 text-xs text-dim">
          {t.since} <Time at={billing.period_starts_at} />
          {billing.period_ends_at && (
            <>
              {" · "}
              {t.renews} <Time at={billing.period_ends_at} />
            </>
          )}
        </p>
      )}
    </Card>
  );
}

/** What is used of what is allowed in a day. */
export function Quotas({ quotas }: { quotas: Quota[] }) {
  const t = useTexts("billing");
  if (quotas.length === 0) return null;
  return (
    <Card title={t.today}>
      <ul className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        {quotas.map((each) => (
          <Used key={each.kind} name={t.quotas[each.kind] ?? each.kind} {...each} reached={each.used >= each.limit} whenReached={t.reachedToday} />
        ))}
      </ul>
    </Card>
  );
}

function Used({ name, used, limit, reached, whenReached }: { name: string | undefined; used: number; limit: number | null; reached: boolean; whenReached: string }) {
  const t = useTexts("billing");
  const { share, tone } = shareOf({ used, limit, reached });
  return (
    <li>
      <div className="mb-1 flex justify-between gap-3">
        <span>{name}</span>
        <span className="tabular text-dim">{limit === null ? t.unlimited(count(used)) : t.used(count(used), count(limit))}</span>
      </div>
      {limit !== null && <Bar share={share} tone={tone} />}
      {tone !== "accent" && <p className={`mt-1 text-xs font-medium ${tone === "bad" ? "text-bad" : "text-warn"}`}>{tone === "bad" ? whenReached : t.nearly}</p>}
    </li>
  );
}
