/** What waits for somebody's decision, each as a card. */
import { ClipboardCheck } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";
import { type News, useNews } from "@/api/live";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, ButtonLink } from "@/ui/button";
import { Json } from "@/ui/json";
import { Empty, Failure, Skeleton, Time } from "@/ui/layout";
import { PanelBoundary } from "@/ui/panel";
import { isSame, nextCards } from "./cards";
import Decide from "./decide";
import { Decision, Origin, StateBadge, TimeLeft } from "./labels";
import { type Approval, useApprovals } from "./queries";

export function Waiting() {
  const t = useTexts("approvals");
  const query = useApprovals("pending");
  const { cards, settle, clear } = useCards(query.rows);
  const list = useRef<HTMLUListElement>(null);
  useCardKeys(list);
  if (query.error && query.rows.length === 0) return <div className="p-6 max-md:p-4"><Failure error={query.error} onRetry={() => void query.refetch()} /></div>;
  if (query.isPending) return <div className="max-w-3xl p-6 max-md:p-4"><Skeleton lines={8} height="h-6" /></div>;
  if (cards.length === 0)
    return (
      <Empty icon={ClipboardCheck} title={t.emptyTitle} action={<ButtonLink to="/agents">{t.emptyAction}</ButtonLink>}>
        {t.emptyLead}
      </Empty>
    );
  return (
    <div className="px-6 py-4 max-md:px-4">
      <ul ref={list} className="max-w-3xl space-y-3">
        {cards.map((approval) => (
          <Card key={approval.id} approval={approval} onDecided={settle} />
        ))}
      </ul>
      <div className="mt-4 flex gap-2">
        {cards.some((each) => each.state !== "pending") && (
          <Button size="sm" onClick={clear}>
            {t.clear}
          </Button>
        )}
        {query.hasNextPage && (
          <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t.older}
          </Button>
        )}
      </div>
    </div>
  );
}

/** The cards in places that don't change; what was decided here or elsewhere stays until one leaves or clears. */
function useCards(pending: readonly Approval[]) {
  const [settled, setSettled] = useState<ReadonlyMap<string, Approval>>(new Map());
  const [shown, setShown] = useState<readonly Approval[]>([]);
  const cards = nextCards(shown, pending, settled);
  if (!isSame(cards, shown)) setShown(cards);
  const settle = useCallback((approval: Approval) => setSettled((old) => new Map(old).set(approval.id, approval)), []);
  useNews(
    useCallback(
      (news: News) => {
        if (news.type !== "approval.updated") return;
        const approval = news as unknown as Approval;
        if (approval.state !== "pending") settle(approval);
      },
      [settle],
    ),
  );
  return { cards, settle, clear: () => setShown(cards.filter((each) => each.state === "pending")) };
}

/** j and k go from card to card; what follows is pressed on purpose: a letter only goes to the button. */
function useCardKeys(list: React.RefObject<HTMLUListElement | null>): void {
  const t = useTexts("approvals");
  const shell = useTexts("shell");
  const commands = useMemo<Command[]>(() => {
    const cards = (): HTMLElement[] => [...(list.current?.querySelectorAll<HTMLElement>("[data-card]") ?? [])];
    const at = (): number => cards().findIndex((each) => each.contains(document.activeElement));
    const go = (by: number): void => {
      const all = cards();
      all[at() < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at() + by))]?.focus();
    };
    const press = (what: "approve" | "edit" | "deny"): void => {
      const button = cards()[Math.max(0, at())]?.querySelector<HTMLElement>(`[data-decide=${what}]`);
      button?.focus();
      if (what !== "approve") button?.click();
    };
    return [
      { id: "card next", label: shell.nextRow, keys: "j", run: () => go(1) },
      { id: "card before", label: shell.rowBefore, keys: "k", run: () => go(-1) },
      { id: "card approve", label: t.keyApprove, keys: "a", run: () => press("approve") },
      { id: "card edit", label: t.editFirst, keys: "e", run: () => press("edit") },
      { id: "card deny", label: t.deny, keys: "d", run: () => press("deny") },
    ];
  }, [list, t, shell]);
  useCommands(commands);
}

function Card({ approval, onDecided }: { approval: Approval; onDecided: (approval: Approval) => void }) {
  const t = useTexts("approvals");
  const isPending = approval.state === "pending";
  return (
    <li>
      <article tabIndex={-1} data-card aria-label={approval.summary} className={`rounded-card border bg-surface shadow-card focus-visible:border-accent ${isPending ? "border-line-strong" : "border-line"}`}>
        <header className="flex flex-wrap items-start gap-x-4 gap-y-1 px-4 pt-3">
          <div className="min-w-0 flex-1 basis-72">
            <h2 className={`text-[15px] ${isPending ? "" : "text-dim"}`}>{approval.summary}</h2>
            <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1">
              <code className="font-mono text-xs text-dim">{approval.tool}</code>
              <Origin approval={approval} />
              <span className="text-[13px] text-dim">
                <Time at={approval.created_at} />
              </span>
            </div>
          </div>
          <span className="flex items-center gap-3 pt-0.5">
            {isPending && <TimeLeft until={approval.expires_at} />}
            <StateBadge state={approval.state} />
          </span>
        </header>
        <div className="space-y-3 px-4 pt-3 pb-4">
          {isPending ? (
            <>
              {Object.keys(approval.arguments ?? {}).length > 0 && <Json value={approval.arguments} label={t.argumentsOf(approval.tool)} openLevels={2} />}
              <PanelBoundary>
                <Decide approval={approval} onDecided={onDecided} />
              </PanelBoundary>
            </>
          ) : (
            <Decision approval={approval} />
          )}
        </div>
      </article>
    </li>
  );
}
