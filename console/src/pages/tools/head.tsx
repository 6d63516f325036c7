import { useTexts } from "@/i18n";
import { Tabs } from "@/ui/tabs";
import { useIsAdmin, useMaySeeExecutions } from "./queries";

/** The three pages of tools; those that one's role may not read aren't offered. */
export function ToolTabs({ active }: { active: "tools" | "secrets" | "executions" }) {
  const t = useTexts("tools");
  const isAdmin = useIsAdmin();
  const maySeeExecutions = useMaySeeExecutions();
  return (
    <Tabs
      label={t.title}
      tabs={[
        { label: t.title, isActive: active === "tools", link: { to: "/tools" } },
        ...(isAdmin ? [{ label: t.secrets, isActive: active === "secrets", link: { to: "/tools/secrets" } as const }] : []),
        ...(maySeeExecutions ? [{ label: t.executions, isActive: active === "executions", link: { to: "/tools/executions" } as const }] : []),
      ]}
    />
  );
}
