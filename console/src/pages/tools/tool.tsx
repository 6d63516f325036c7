/** One tool: its form beside a test of it, and its versions. */
import { useNavigate, useParams } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api } from "@/api/client";
import { useTexts } from "@/i18n";
import { Button, ButtonLink } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Loaded, Page, Skeleton } from "@/ui/layout";
import { Tabs } from "@/ui/tabs";
import { toast } from "@/ui/toast";
import { EditTool } from "./edit";
import { type Tool, useMaySeeExecutions, useTool } from "./queries";
import { toolRoute } from "./route";
import { Versions } from "./versions";

export function ToolPage() {
  const t = useTexts("tools");
  const { id } = useParams({ from: "/shell/tools/$id" });
  const { tab } = toolRoute.useSearch();
  const query = useTool(id);
  const maySeeExecutions = useMaySeeExecutions();
  return (
    <Page
      title={query.data?.name ?? t.tool}
      lead={query.data && t.versionN(query.data.version)}
      back={{ to: "/tools", label: t.title }}
      isFlush
      actions={
        query.data && (
          <>
            {maySeeExecutions && (
              <ButtonLink to="/tools/executions" search={{ tool: query.data.name }}>
                {t.executions}
              </ButtonLink>
            )}
            <Delete tool={query.data} />
          </>
        )
      }
    >
      <Tabs
        label={query.data?.name ?? t.tool}
        tabs={[
          { label: t.editAndTest, isActive: tab === undefined, link: { to: "/tools/$id", params: { id }, search: {} } },
          { label: t.versions, isActive: tab === "versions", link: { to: "/tools/$id", params: { id }, search: { tab: "versions" } } },
        ]}
      />
      <div className="flex-1 px-6 py-4 max-md:px-4">
        <Loaded query={query} skeleton={<Skeleton lines={10} />}>
          {(tool) => (tab === "versions" ? <Versions tool={tool} /> : <EditTool key={tool.id} tool={tool} />)}
        </Loaded>
      </div>
    </Page>
  );
}

function Delete({ tool }: { tool: Tool }) {
  const t = useTexts("tools");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const [refused, setRefused] = useState<string>();
  const remove = useChange(() => api.DELETE("/api/tools/{id}", { params: { path: { id: tool.id } } }), [["tools", "list"], ["tools", "choices"]], {
    onDone: () => {
      toast.done(t.deleted(tool.name));
      void navigate({ to: "/tools" });
    },
    onError: (error) => {
      setRefused(error.message);
      return true;
    },
  });
  return (
    <>
      <Button look="danger" icon={Trash2} needs="integrations:write" onClick={() => setAsked(true)}>
        {shell.delete}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.deleteTitle(tool.name)} verb={shell.delete} typed={tool.name} needs="integrations:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
        <p>{t.deleteLead}</p>
        {refused && (
          <p role="alert" className="mt-2 font-medium text-bad">
            {refused}
          </p>
        )}
      </Confirm>
    </>
  );
}
