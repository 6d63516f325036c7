/** What was asked of a connector, and what it answered. */
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import { useState } from "react";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { count } from "@/lib/format";
import { Button, ButtonLink } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Code } from "@/ui/json";
import { Card, Facts, Loaded, Time } from "@/ui/layout";
import { OutcomeBadge } from "./badges";
import { type Log, useLogs } from "./queries";
import { connectorRoute } from "./route";

export function Logs({ id }: { id: string }) {
  const t = useTexts("crm");
  const { call_id: callId } = connectorRoute.useSearch();
  // Bodies hold callers' data: administrators alone read them.
  const isAllowed = useCan("integrations:write");
  const query = useLogs(id, callId, isAllowed);
  const [shown, setShown] = useState<Log | null>(null);
  if (!isAllowed) return null;
  return (
    <Card
      title={t.logs}
      isFlush
      actions={
        callId && (
          <ButtonLink size="sm" icon={X} to="/crm/$id" params={{ id }} search={{}}>
            {t.allCalls}
          </ButtonLink>
        )
      }
    >
      <Loaded query={query} skeleton={<p className="p-4 text-dim">…</p>}>
        {() =>
          query.rows.length === 0 ? (
            <p className="p-4 text-dim">{t.noLogs}</p>
          ) : (
            <>
              <ul className="divide-y divide-line">
                {query.rows.map((log) => (
                  <li key={log.id}>
                    <button type="button" className="flex w-full items-center gap-3 px-4 py-2 text-left hover:bg-hover focus-visible:outline-offset-[-2px]" onClick={() => setShown(log)}>
                      <span className="truncate font-mono text-[13px] max-md:flex-1 md:w-32 md:shrink-0">{log.event}</span>
                      <OutcomeBadge of={log.outcome} />
                      <span className="min-w-0 flex-1 truncate text-xs text-dim max-md:hidden">{log.message ?? log.reason ?? ""}</span>
                      <span className="tabular text-xs text-dim max-md:hidden">{t.ms(count(log.duration_ms))}</span>
                      <span className="text-xs">
                        <Time at={log.created_at} isExact />
                      </span>
                    </button>
                  </li>
                ))}
              </ul>
              {query.hasNextPage && (
                <div className="border-t border-line p-3">
                  <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                    {t.more}
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Loaded>
      {shown && <LogDialog log={shown} onClose={() => setShown(null)} />}
    </Card>
  );
}

export function LogDialog({ log, onClose }: { log: Log; onClose: () => void }) {
  const t = useTexts("crm");
  return (
    <Dialog isOpen onClose={onClose} title={log.event} size="lg">
      <div className="space-y-4">
        <Facts
          items={[
            [t.outcome, <OutcomeBadge key="o" of={log.outcome} />],
            (log.message ?? log.reason) !== null && [t.why, log.message ?? log.reason],
            [t.httpStatus, log.status],
            [t.duration, t.ms(count(log.duration_ms))],
            [t.at, <Time key="a" at={log.created_at} />],
            [t.delivery, <code key="d" className="font-mono text-xs">{log.delivery_id}</code>],
            log.old_secret && [t.signed, t.signedOld],
            log.call_id !== null && [
              t.call,
              <Link key="c" to="/calls/$id" params={{ id: log.call_id }} className="text-accent underline">
                {t.openCall}
              </Link>,
            ],
          ]}
        />
        <section className="space-y-1">
          <h3 className="text-[13px]">{t.request}</h3>
          <Code label={t.request} value={log.request_body} />
        </section>
        {log.response_body !== null && (
          <section className="space-y-1">
            <h3 className="text-[13px]">{t.answer}</h3>
            <Code label={t.answer} value={log.response_body} />
          </section>
        )}
      </div>
    </Dialog>
  );
}
