import { Building2, Plus } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useCan } from "@/api/me";
import { useList } from "@/api/queries";
import { NotFound } from "@/app/unknown";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { Provision } from "./provision";

type Request = Schemas["OrganizationRequest"];
const TOUCHED = [["organization requests"]];

/** Organizations that wait for a site admin. */
export function Requests() {
  return useCan("site:admin") ? <List /> : <NotFound />;
}

function List() {
  const t = useTexts("admin");
  const [isProvisioning, setProvisioning] = useState(false);
  const query = useList(
    ["organization requests"],
    (cursor, signal) => data(api.GET("/api/organizations/requests", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.requests,
  );
  const columns = useColumns();
  const provision = (
    <Button icon={Plus} needs="site:admin" onClick={() => setProvisioning(true)}>
      {t.provision}
    </Button>
  );
  return (
    <Page title={t.title} lead={t.lead} actions={provision} isFlush>
      <Table
        label={t.title}
        query={query}
        columns={columns}
        rowPx={52}
        empty={
          <Empty icon={Building2} title={t.emptyTitle}>
            {t.emptyLead}
          </Empty>
        }
      />
      {isProvisioning && <Provision onClose={() => setProvisioning(false)} />}
    </Page>
  );
}

function useColumns(): Column<Request>[] {
  const t = useTexts("admin");
  return [
    { key: "name", title: t.name, width: "minmax(8rem, 2fr)", cell: (row) => <span className="font-medium">{row.name}</span> },
    {
      key: "person",
      title: t.person,
      width: "minmax(8rem, 2fr)",
      isWide: true,
      cell: (row) => (
        <>
          <span className="block truncate">{row.requested_by.name || row.requested_by.email}</span>
          {row.requested_by.name && <span className="block truncate text-xs text-dim">{row.requested_by.email}</span>}
        </>
      ),
    },
    { key: "when", title: t.when, width: "8.5rem", isWide: true, cell: (row) => <Time at={row.created_at} /> },
    { key: "decide", title: "", width: "13rem", isRight: true, cell: (row) => <Decide request={row} /> },
  ];
}

function Decide({ request }: { request: Request }) {
  const t = useTexts("admin");
  const [isAsked, setAsked] = useState(false);
  const path = { params: { path: { id: request.id } } };
  const approve = useChange(() => data(api.POST("/api/organizations/requests/{id}/approve", path)), TOUCHED, { onDone: () => toast.done(t.approved(request.name)) });
  const deny = useChange(() => api.POST("/api/organizations/requests/{id}/deny", path), TOUCHED, {
    onDone: () => {
      setAsked(false);
      toast.done(t.denied(request.name));
    },
  });
  return (
    <span className="inline-flex gap-2">
      <Button size="sm" needs="site:admin" aria-label={t.denyOf(request.name)} onClick={() => setAsked(true)}>
        {t.deny}
      </Button>
      <Button size="sm" look="primary" needs="site:admin" busy={approve.isPending} aria-label={t.approveOf(request.name)} onClick={() => approve.mutate(undefined)}>
        {t.approve}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.denyTitle(request.name)} verb={t.deny} isBusy={deny.isPending} onConfirm={() => deny.mutate(undefined)}>
        <p>{t.denyLead}</p>
      </Confirm>
    </span>
  );
}
