/** What agents may not do alone: decided here, while somebody waits. */
import { useTexts } from "@/i18n";
import { Page } from "@/ui/layout";
import { Tabs } from "@/ui/tabs";
import { All } from "./all";
import { approvalsRoute } from "./route";
import { Waiting } from "./waiting";

export function Approvals() {
  const t = useTexts("approvals");
  const { view } = approvalsRoute.useSearch();
  return (
    <Page title={t.title} lead={t.lead} isFlush>
      <Tabs
        label={t.title}
        tabs={[
          { label: t.waiting, isActive: !view, link: { to: "/approvals", search: {} } },
          { label: t.all, isActive: view === "all", link: { to: "/approvals", search: { view: "all" } } },
        ]}
      />
      {view ? <All /> : <Waiting />}
    </Page>
  );
}
