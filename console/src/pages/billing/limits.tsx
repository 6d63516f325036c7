import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Bar } from "@/ui/figure";
import { Card, Time } from "@/ui/layout";
import { shareOf } from "./costs";
import type { BillingState } from "./queries";

/** What is used of what the plan allows. */
export function Limits({ billing }: { billing: BillingState }) {
  const t = useTexts("billing");
  const plan = billing.plan;
  return (
    <Card title={plan ? `${t.plan}: ${plan.name}` : t.plan} actions={<span className="text-[13px] text-dim">{billing.by_subscription ? t.bySubscription : t.own}</span>}>
      {plan?.price_text && <p className="mb-3 text-dim">{plan.price_text}</p>}
      <ul className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        {billing.resources.map((each) => {
          const { share, tone } = shareOf(each);
          return (
            <li key={each.resource}>
              <div className="mb-1 flex justify-between gap-3">
                <span>{t.resources[each.resource]}</span>
                <span className="tabular text-dim">{each.limit === null ? t.unlimited(count(each.used)) : t.used(count(each.used), count(each.limit))}</span>
              </div>
              {each.limit !== null && <Bar share={share} tone={tone} />}
              {tone !== "accent" && <p className={`mt-1 text-xs font-medium ${tone === "bad" ? "text-bad" : "text-warn"}`}>{tone === "bad" ? t.reached : t.nearly}</p>}
            </li>
          );
        })}
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
