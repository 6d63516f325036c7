/** One document: what agents find in it, where it comes from, who uses it. */
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { FileUp, RotateCw } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { api, data } from "@/api/client";
import { useAllFlowsWith } from "@/api/flows";
import { useCan } from "@/api/me";
import { useTexts } from "@/i18n";
import { bytes, count } from "@/lib/format";
import { useAttempt } from "@/lib/attempt";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Card, Facts, Loaded, Page, Skeleton, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { type Document, useDocument, usePassages } from "./queries";
import { ReplaceContent } from "./replace";
import { DocumentSettings } from "./settings";
import { StatusBadge } from "./status";

export function DocumentPage() {
  const t = useTexts("knowledge");
  const { id } = useParams({ from: "/shell/knowledge/$id" });
  const query = useDocument(id);
  return (
    <Page title={query.data?.name ?? t.document} back={{ to: "/knowledge", label: t.title }} actions={query.data && <Renew document={query.data} />}>
      <Loaded query={query} skeleton={<Skeleton lines={8} />}>
        {(document) => (
          <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,5fr)_minmax(0,3fr)] lg:grid-rows-[auto_1fr]">
            <div className="order-2 min-w-0 lg:order-1 lg:row-span-2">
              <Passages document={document} />
            </div>
            <div className="order-1 min-w-0 space-y-4 lg:order-2">
              <About document={document} />
              <DocumentSettings key={document.id} document={document} />
              <Readers id={document.id} />
            </div>
            <div className="order-3 min-w-0">
              <Delete document={document} />
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** A document from an address is fetched again; any other one gets another content. */
function Renew({ document }: { document: Document }) {
  const t = useTexts("knowledge");
  const [isReplacing, setReplacing] = useState(false);
  const attempt = useAttempt();
  const refetch = useChange(() => data(api.POST("/api/knowledge/{id}/refetch", { params: { path: { id: document.id }, header: { "Idempotency-Key": attempt.key(document.updated_at) } }, body: {} })), [["knowledge"]], {
    onDone: () => {
      attempt.done();
      toast.done(t.refetching);
    },
  });
  if (document.url)
    return (
      <Button icon={RotateCw} needs="knowledge:write" busy={refetch.isPending} onClick={() => refetch.mutate(undefined)}>
        {t.refetchNow}
      </Button>
    );
  return (
    <>
      <Button icon={FileUp} needs="knowledge:write" onClick={() => setReplacing(true)}>
        {t.replace}
      </Button>
      {isReplacing && <ReplaceContent document={document} onClose={() => setReplacing(false)} />}
    </>
  );
}

function About({ document }: { document: Document }) {
  const t = useTexts("knowledge");
  return (
    <Card title={t.about}>
      {document.failure && (
        <p role="alert" className="mb-3 rounded-control bg-bad-soft px-3 py-2 text-[13px] text-bad">
          {document.failure}
          {document.passages > 0 && ` ${t.oldKept}`}
        </p>
      )}
      <Facts
        items={[
          [t.status, <StatusBadge key="s" status={document.status} />],
          document.url !== null && [
            t.url,
            <a key="u" href={document.url} target="_blank" rel="noreferrer" className="break-all text-accent underline">
              {document.url}
            </a>,
          ],
          [t.format, document.format ? t.formats[document.format] : undefined],
          [t.size, bytes(document.content_bytes)],
          [t.passages, count(document.passages)],
          [t.found, document.embedded ? t.byBoth : t.byWordsOnly],
          [t.converted, <Time key="c" at={document.converted_at} />],
          document.next_fetch_at !== null && [t.nextFetch, <Time key="n" at={document.next_fetch_at} />],
          [t.created, <Time key="a" at={document.created_at} />],
        ]}
      />
    </Card>
  );
}

function Passages({ document }: { document: Document }) {
  const t = useTexts("knowledge");
  const query = usePassages(document.id);
  return (
    <Card title={t.passages} isFlush>
      <Loaded query={query} skeleton={<div className="p-4"><Skeleton lines={8} /></div>}>
        {() =>
          query.rows.length === 0 ? (
            <p className="p-4 text-dim">{document.status === "pending" ? t.passagesToCome : t.noPassages}</p>
          ) : (
            <>
              <ol className="divide-y divide-line">
                {query.rows.map((passage) => (
                  <li key={passage.position} className="px-4 py-3">
                    <p className="text-xs text-dim">
                      <span className="tabular">{passage.position}</span>
                      {passage.heading && ` · ${passage.heading}`}
                    </p>
                    <p className="mt-1 text-[13px] whitespace-pre-wrap">{passage.text}</p>
                  </li>
                ))}
              </ol>
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
    </Card>
  );
}

function Readers({ id }: { id: string }) {
  const t = useTexts("knowledge");
  const { data: all } = useAllFlowsWith(["knowledge_ids"]);
  const flows = all?.filter((flow) => flow.knowledge_ids.includes(id)) ?? [];
  if (!useCan("flows:read")) return null;
  return (
    <Card title={t.usedBy}>
      {flows.length === 0 ? (
        <p className="text-dim">{t.usedByNone}</p>
      ) : (
        <ul className="space-y-1">
          {flows.map((flow) => (
            <li key={flow.id}>
              <Link to="/agents/$id" params={{ id: flow.id }} className="text-accent underline">
                {flow.name}
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Delete({ document }: { document: Document }) {
  const t = useTexts("knowledge");
  const shell = useTexts("shell");
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  const [refused, setRefused] = useState<string>();
  const remove = useChange(() => api.DELETE("/api/knowledge/{id}", { params: { path: { id: document.id } } }), [["knowledge", "list"], ["knowledge", "choices"]], {
    onDone: () => {
      toast.done(t.deleted(document.name));
      void navigate({ to: "/knowledge" });
    },
    onError: (error) => {
      setRefused(error.message);
      return true;
    },
  });
  return (
    <Card title={t.danger}>
      <p className="mb-3 text-dim">{t.deleteLead}</p>
      <Button look="danger" needs="knowledge:write" onClick={() => setAsked(true)}>
        {t.delete}
      </Button>
      <Confirm isOpen={isAsked} onClose={() => setAsked(false)} title={t.deleteTitle(document.name)} verb={shell.delete} needs="knowledge:write" isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
        <p>{t.deleteLead}</p>
        {refused && (
          <p role="alert" className="mt-2 font-medium text-bad">
            {refused}
          </p>
        )}
      </Confirm>
    </Card>
  );
}
