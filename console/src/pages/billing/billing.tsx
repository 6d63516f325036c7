import { useSearch } from "@tanstack/react-router";
import { CreditCard } from "lucide-react";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { ButtonLink } from "@/ui/button";
import { Empty, Loaded, Page } from "@/ui/layout";
import { Tabs } from "@/ui/tabs";
import { Plans } from "./plans";
import { useBilling } from "./queries";
import { Subscription } from "./subscription";
import { Usage } from "./usage";
import { Limits } from "./limits";

/** The plan with its limits, and what was used and costs. */
export function Billing() {
  const t = useTexts("billing");
  const { tab } = useSearch({ from: "/shell/billing" });
  const seesPlan = useCan("billing:read");
  const seesUsage = useCan("usage:read");
  const shown = tab === "usage" || !seesPlan ? "usage" : "plan";
  return (
    <Page title={t.title} guide="/guides/usage" isFlush>
      {seesPlan && seesUsage && (
        <Tabs
          label={t.title}
          tabs={[
            { label: t.tabs.plan, link: { to: "/billing", search: {} }, isActive: shown === "plan" },
            { label: t.tabs.usage, link: { to: "/billing", search: { tab: "usage" } }, isActive: shown === "usage" },
          ]}
        />
      )}
      <div className="px-6 py-5 max-md:px-4">{shown === "plan" ? <Plan /> : <Usage />}</div>
    </Page>
  );
}

function Plan() {
  const t = useTexts("billing");
  const query = useBilling();
  return (
    <Loaded query={query}>
      {(billing) =>
        billing.enabled ? (
          <div className="max-w-4xl space-y-4">
            <Limits billing={billing} />
            {billing.subscription && <Subscription billing={billing} subscription={billing.subscription} />}
            <Plans billing={billing} />
          </div>
        ) : (
          <Empty icon={CreditCard} title={t.off} action={<ButtonLink to="/billing" search={{ tab: "usage" } as never}>{t.toUsage}</ButtonLink>}>
            {t.offLead}
          </Empty>
        )
      }
    </Loaded>
  );
}
