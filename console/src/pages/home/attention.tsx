/** What waits for somebody, each with the page where it is done. A panel that isn't answered leaves its line out. */
import { Link } from "@tanstack/react-router";
import { ChevronRight, ClipboardCheck, Gauge, Inbox, type LucideIcon, PhoneMissed, Voicemail, Webhook } from "lucide-react";
import { useTexts } from "@/i18n";
import { toPage } from "@/lib/links";
import { UNTAKEN } from "@/lib/party";
import { Card, Skeleton } from "@/ui/layout";
import { COUNTED_MOST, useDashboard, useInboxCounts, usePendingApprovals, useReachedLimits, useTroubledWebhooks } from "./queries";

interface Line {
  key: string;
  icon: LucideIcon;
  text: string;
  to: string;
  search?: Record<string, string>;
  isBad?: boolean;
}

function useLines(): { lines: Line[]; isPending: boolean } {
  const t = useTexts("home");
  const board = useDashboard();
  const approvals = usePendingApprovals();
  const inbox = useInboxCounts();
  const webhooks = useTroubledWebhooks();
  const limits = useReachedLimits();
  const lines: Line[] = [];
  const waiting = approvals.data?.approvals.length ?? 0;
  if (waiting > 0) {
    const count = approvals.data?.next_cursor ? `${COUNTED_MOST}+` : String(waiting);
    lines.push({ key: "approvals", icon: ClipboardCheck, text: t.approvals(t.approvalsOf(count, waiting === 1)), to: "/approvals" });
  }
  const untaken = board.data?.untaken_transfers ?? 0;
  if (untaken > 0) lines.push({ key: "transfers", icon: PhoneMissed, text: t.untaken(untaken), to: "/calls", search: { tag: UNTAKEN }, isBad: true });
  const unread = inbox.data?.unread.conversations ?? 0;
  if (unread > 0) lines.push({ key: "texts", icon: Inbox, text: t.texts(inbox.data?.unread.more ? `${unread}+` : String(unread)), to: "/inbox" });
  const unheard = board.data?.unheard_voicemails ?? 0;
  if (unheard > 0) lines.push({ key: "voicemails", icon: Voicemail, text: t.voicemails(unheard), to: "/voicemails" });
  for (const each of webhooks.data ?? []) {
    const where = each.description || hostOf(each.url);
    lines.push({ key: each.id, icon: Webhook, text: each.status === "failing" ? t.webhookFailing(where) : t.webhookDisabled(where), to: "/webhooks", isBad: true });
  }
  for (const each of limits.data ?? []) lines.push({ key: each.resource, icon: Gauge, text: t.limit(t.resources[each.resource] ?? each.resource), to: "/billing", isBad: true });
  return { lines, isPending: [board, approvals, inbox, webhooks].some((query) => query.isLoading) };
}

export function Attention() {
  const t = useTexts("home");
  const { lines, isPending } = useLines();
  return (
    <Card title={t.needs} isFlush>
      {isPending ? (
        <div className="p-4">
          <Skeleton lines={2} />
        </div>
      ) : lines.length === 0 ? (
        <p className="p-4 text-dim">{t.nothingWaits}</p>
      ) : (
        <ul>
          {lines.map((line) => (
            <li key={line.key} className="border-b border-line last:border-b-0">
              <Link {...toPage(line.to)} search={line.search ?? {}} className="flex items-center gap-3 px-4 py-2.5 hover:bg-hover focus-visible:outline-offset-[-2px]">
                <line.icon size={16} aria-hidden className={line.isBad ? "text-bad" : "text-accent"} />
                <span className="min-w-0 flex-1 truncate">{line.text}</span>
                <ChevronRight size={15} aria-hidden className="text-dim" />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}
