import { useSearch } from "@tanstack/react-router";
import { can, useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { Loaded, Page, Skeleton } from "@/ui/layout";
import { Tabs } from "@/ui/tabs";
import { Emails } from "./emails";
import { General, Leave } from "./general";
import { Hours } from "./hours-form";
import { Privacy } from "./privacy";
import { useOrganization } from "./queries";
import { TABS } from "./route";
import { Texts } from "./texts";

/** What the whole organization works by, in parts. */
export function Settings() {
  const t = useTexts("settings");
  const me = useMe();
  const { tab = "general" } = useSearch({ from: "/shell/settings" });
  const query = useOrganization();
  const isAdmin = can(me, "team:write") && me.role === "admin";
  const shown = TABS.filter((each) => each !== "emails" || me.role === "admin");
  return (
    <Page title={t.title} lead={isAdmin ? undefined : t.readOnly} isFlush>
      <Tabs label={t.tabsLabel} tabs={shown.map((each) => ({ label: t.tabs[each], link: { to: "/settings", search: each === "general" ? {} : { tab: each } }, isActive: each === tab }))} />
      {tab === "emails" ? (
        <Emails />
      ) : (
        <div className="w-full max-w-3xl px-6 py-5 max-md:px-4">
          <Loaded query={query} skeleton={<Skeleton lines={6} height="h-8" />}>
            {(organization) => (
              <div className="space-y-4">
                <fieldset disabled={!isAdmin} className="min-w-0 space-y-4">
                  {tab === "general" && <General organization={organization} />}
                  {tab === "hours" && <Hours organization={organization} />}
                  {tab === "texts" && <Texts organization={organization} />}
                  {tab === "privacy" && <Privacy organization={organization} />}
                </fieldset>
                {tab === "general" && <Leave organization={organization} />}
              </div>
            )}
          </Loaded>
        </div>
      )}
    </Page>
  );
}
