import { Hash, RefreshCw, ShoppingCart } from "lucide-react";
import { useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { type Command, useCommands } from "@/app/commands";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button, ButtonLink } from "@/ui/button";
import { Empty, Page, Time } from "@/ui/layout";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { useNavigate } from "@tanstack/react-router";
import { Capabilities, StatusBadge, useAgentName } from "./parts";
import { type PhoneNumber, TOUCHED, useNumbers } from "./queries";
import { Register } from "./register";

/** All numbers, and what answers there. */
export function Numbers() {
  const t = useTexts("numbers");
  const query = useNumbers();
  const columns = useColumns();
  const navigate = useNavigate();
  const mayBuy = useCan("numbers:write");
  const [isRegistering, setRegistering] = useState(false);
  const sync = useChange(() => data(api.POST("/api/numbers/sync", { body: {} })), TOUCHED, {
    onDone: ({ added, updated, gone, elsewhere }) => toast.done([t.synced(added, updated, gone), elsewhere > 0 && t.elsewhere(elsewhere)].filter(Boolean).join(" ")),
  });
  const { mutate: startSync } = sync;
  const commands = useMemo<Command[]>(
    () => [
      { id: "numbers buy", label: t.buy, keys: "b", run: () => void navigate({ to: "/numbers/buy" }) },
      { id: "numbers sync", label: t.sync, run: () => startSync(undefined) },
    ].filter(() => mayBuy),
    [t, navigate, startSync, mayBuy],
  );
  useCommands(commands);
  const actions = (
    <>
      <Button needs="numbers:write" onClick={() => setRegistering(true)}>
        {t.register}
      </Button>
      <Button needs="numbers:write" icon={RefreshCw} busy={sync.isPending} onClick={() => sync.mutate(undefined)}>
        {sync.isPending ? t.syncing : t.sync}
      </Button>
      <Button look="primary" needs="numbers:write" icon={ShoppingCart} onClick={() => void navigate({ to: "/numbers/buy" })}>
        {t.buy}
      </Button>
    </>
  );
  return (
    <Page title={t.title} lead={t.lead} actions={actions} isFlush>
      <Table
        label={t.title}
        query={query}
        columns={columns}
        link={(row) => ({ to: "/numbers/$numberId", params: { numberId: row.id } })}
        rowPx={48}
        empty={
          <Empty icon={Hash} title={t.emptyTitle} action={mayBuy && <ButtonLink to="/numbers/buy" look="primary">{t.buy}</ButtonLink>}>
            {t.emptyLead}
          </Empty>
        }
      />
      <Register isOpen={isRegistering} onClose={() => setRegistering(false)} />
    </Page>
  );
}

function useColumns(): Column<PhoneNumber>[] {
  const t = useTexts("numbers");
  const nameOf = useAgentName();
  const dim = (text: string) => <span className="text-dim">{text}</span>;
  return [
    {
      key: "number",
      title: t.number,
      width: "minmax(11rem, 1.4fr)",
      cell: (row) => (
        <>
          <span className="tabular block truncate">{phone(row.e164)}</span>
          {row.friendly_name && <span className="block truncate text-xs font-normal text-dim">{row.friendly_name}</span>}
        </>
      ),
    },
    { key: "voice", title: t.voice, width: "minmax(7rem, 1.2fr)", cell: (row) => (row.flow_id ? nameOf(row.flow_id) : dim(t.nobody)) },
    { key: "texts", title: t.texts, width: "minmax(7rem, 1.2fr)", isWide: true, cell: (row) => (!row.sms_enabled ? dim(t.textsOff) : row.sms_flow_id ? nameOf(row.sms_flow_id) : dim(t.people)) },
    { key: "can", title: t.can, width: "13rem", isWide: true, cell: (row) => <Capabilities of={row.capabilities} /> },
    { key: "status", title: t.status, width: "8.5rem", isWide: true, cell: (row) => <StatusBadge status={row.status} /> },
    { key: "added", title: t.added, width: "8rem", isWide: true, isRight: true, cell: (row) => <Time at={row.created_at} /> },
  ];
}
