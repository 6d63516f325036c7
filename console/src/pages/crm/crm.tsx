/** The connectors, in the order in which they are believed. */
import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowUp, Building2, Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { useChange } from "@/api/acts";
import { useCan } from "@/api/me";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { Empty, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { StatusBadge } from "./badges";
import { CreateConnector } from "./create";
import { type Connector, TOUCHED, patchConnector, useConnectors } from "./queries";

export function Crm() {
  const t = useTexts("crm");
  const canWrite = useCan("integrations:write");
  const [isCreating, setCreating] = useState(false);
  const query = useConnectors();
  useCommands(useMemo<Command[]>(() => (canWrite ? [{ id: "crm create", label: t.create, keys: "n", run: () => setCreating(true) }] : []), [canWrite, t]));
  const create = (
    <Button look="primary" icon={Plus} needs="integrations:write" onClick={() => setCreating(true)}>
      {t.create}
    </Button>
  );
  return (
    <Page title={t.title} lead={t.lead} guide="/guides/crm-integration" actions={create}>
      <Loaded query={query} skeleton={<Skeleton lines={5} height="h-12" />}>
        {(connectors) =>
          connectors.length === 0 ? (
            <Empty icon={Building2} title={t.emptyTitle} action={create}>
              {t.emptyLead}
            </Empty>
          ) : (
            <div className="max-w-4xl">
              {connectors.length > 1 && <p className="mb-2 text-[13px] text-dim">{t.orderLead}</p>}
              <ol className="divide-y divide-line overflow-hidden rounded-card border border-line bg-surface shadow-card">
                {connectors.map((connector, at) => (
                  <Row key={connector.id} connector={connector} place={at} last={connectors.length - 1} />
                ))}
              </ol>
            </div>
          )
        }
      </Loaded>
      {isCreating && <CreateConnector onClose={() => setCreating(false)} />}
    </Page>
  );
}

function Row({ connector, place, last }: { connector: Connector; place: number; last: number }) {
  const t = useTexts("crm");
  const move = useChange((position: number) => patchConnector(connector.id, { position }), TOUCHED);
  return (
    <li className="relative flex items-center gap-3 px-4 py-3 hover:bg-hover">
      <span className="tabular w-5 shrink-0 text-right text-dim">{place + 1}</span>
      <div className="min-w-0 flex-1">
        <Link to="/crm/$id" params={{ id: connector.id }} className="block truncate font-medium after:absolute after:inset-0">
          {connector.name}
        </Link>
        <span className="block truncate text-xs text-dim">{connector.base_url}</span>
        {connector.enabled && connector.failure && <span className="mt-0.5 block truncate text-xs text-bad">{connector.failure}</span>}
      </div>
      <div className="flex shrink-0 items-center gap-2">
        {connector.rests_until && (
          <span className="text-xs text-dim max-md:hidden">
            {t.until} <Time at={connector.rests_until} />
          </span>
        )}
        <StatusBadge of={connector} />
        {last > 0 && (
          <span className="relative z-1 flex">
            <IconButton size="sm" icon={ArrowUp} label={t.up(connector.name)} needs="integrations:write" off={place === 0 ? t.isFirst : move.isPending ? t.moving : null} onClick={() => move.mutate(place)} />
            <IconButton size="sm" icon={ArrowDown} label={t.down(connector.name)} needs="integrations:write" off={place === last ? t.isLast : move.isPending ? t.moving : null} onClick={() => move.mutate(place + 2)} />
          </span>
        )}
      </div>
    </li>
  );
}
