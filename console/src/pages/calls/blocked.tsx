/** Numbers whose calls are refused, before a model is opened. */
import { Ban, Trash2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button, IconButton } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { BlockNumber } from "./block-number";

type BlockedRow = Schemas["BlockedNumber"] & { id: string };

export function Blocked() {
  const t = useTexts("calls");
  const [isAdding, setAdding] = useState(false);
  const query = useList(
    ["blocklist"],
    (cursor, signal) => data(api.GET("/api/blocklist", { params: { query: cursor ? { limit: 100, cursor } : { limit: 100 } }, signal })),
    (page): BlockedRow[] => page.blocklist.map((each) => ({ ...each, id: each.phone_e164 })),
  );
  const columns = useColumns();
  const add = (
    <Button look="primary" icon={Ban} needs="calls:write" onClick={() => setAdding(true)}>
      {t.block}
    </Button>
  );
  return (
    <Page title={t.blockedTitle} lead={t.blockedLead} back={{ to: "/calls", label: t.title }} isFlush actions={add}>
      <Table label={t.blockedTitle} query={query} columns={columns} empty={<Empty icon={Ban} title={t.blockedEmpty} action={add}>{t.blockedEmptyLead}</Empty>} />
      {isAdding && <BlockNumber onClose={() => setAdding(false)} />}
    </Page>
  );
}

/** Unblocking is undone by blocking again, so it asks nothing. */
function useUnblock() {
  const t = useTexts("calls");
  const again = useChange((row: BlockedRow) => api.POST("/api/blocklist", { body: { phone_e164: row.phone_e164, ...(row.reason ? { reason: row.reason } : {}) } }), [["blocklist"]]);
  return useChange((row: BlockedRow) => api.DELETE("/api/blocklist/{phone_e164}", { params: { path: { phone_e164: row.phone_e164 } } }), [["blocklist"]], {
    onDone: (_, row) => toast.done(t.unblocked(phone(row.phone_e164)), { label: t.undo, run: () => again.mutate(row) }),
  });
}

function useColumns(): readonly Column<BlockedRow>[] {
  const t = useTexts("calls");
  const unblock = useUnblock();
  return [
    { key: "number", title: t.number, width: "minmax(9rem, 1fr)", cell: (row) => <span className="tabular font-medium">{phone(row.phone_e164)}</span> },
    { key: "reason", title: t.why, width: "minmax(6rem, 2fr)", cell: (row) => row.reason ?? <span className="text-dim">–</span> },
    { key: "when", title: t.since, width: "8.5rem", isWide: true, isRight: true, cell: (row) => <Time at={row.created_at} /> },
    { key: "unblock", title: "", width: "2.75rem", isRight: true, cell: (row) => <IconButton size="sm" icon={Trash2} label={t.unblock(phone(row.phone_e164))} needs="calls:write" onClick={() => unblock.mutate(row)} /> },
  ];
}
