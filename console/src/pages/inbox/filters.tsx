import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { MailOpen } from "lucide-react";
import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { count, phone } from "@/lib/format";
import { IconButton } from "@/ui/button";
import { SelectField } from "@/ui/field";
import { SearchField } from "@/ui/search-field";
import { answering } from "./names";
import { useCountsOfInbox, useMembers, useNumbers } from "./queries";
import type { InboxSearch } from "./route";

/** What the list shows; all of it in the URL, and kept when a thread is opened. */
export function Filters() {
  const t = useTexts("inbox");
  const search = useSearch({ from: "/shell/inbox" });
  const { id } = useParams({ strict: false });
  const navigate = useNavigate();
  const members = useMembers();
  const numbers = useNumbers().data?.numbers ?? [];
  const me = useMe();
  const set = (change: Partial<Record<keyof InboxSearch, string | true | undefined>>): void =>
    void navigate({ to: id ? "/inbox/$id" : "/inbox", params: { id: id ?? "" }, search: clean({ ...search, ...change }), replace: true });
  const others = answering(members.data?.members ?? []).filter((each) => each.user_id !== me.user?.id);
  return (
    <div className="space-y-2 border-b border-line px-4 pb-3">
      <SearchField id="inbox-search" label={t.search} placeholder={t.searchPlaceholder} value={search.q ?? ""} onChange={(q) => set({ q: q || undefined })} />
      <Whose />
      <div className="flex items-end gap-1.5">
        <div className="min-w-0 flex-1">
          <SelectField
            isBare
            label={t.status}
            value={search.status ?? "open"}
            choices={(["open", "snoozed", "closed", "campaigns", "all"] as const).map((value) => ({ value, label: t.statuses[value] }))}
            onChange={(event) => set({ status: event.target.value === "open" ? undefined : event.target.value })}
          />
        </div>
        <IconButton label={t.onlyUnread} icon={MailOpen} pressed={Boolean(search.unread)} onClick={() => set({ unread: search.unread ? undefined : true })} />
      </div>
      <div className="flex gap-1.5 empty:hidden">
        {others.length > 0 && (
          <div className="min-w-0 flex-1">
            <SelectField
              isBare
              label={t.assignee}
              value={others.some((each) => each.user_id === search.assignee) ? search.assignee : ""}
              choices={[{ value: "", label: t.anybody }, ...others.map((each) => ({ value: each.user_id, label: each.name ?? each.email }))]}
              onChange={(event) => set({ assignee: event.target.value || undefined })}
            />
          </div>
        )}
        {numbers.length > 1 && (
          <div className="min-w-0 flex-1">
            <SelectField
              isBare
              label={t.number}
              value={search.number ?? ""}
              choices={[{ value: "", label: t.allNumbers }, ...numbers.map((each) => ({ value: each.id, label: each.friendly_name ?? phone(each.e164) }))]}
              onChange={(event) => set({ number: event.target.value || undefined })}
            />
          </div>
        )}
      </div>
    </div>
  );
}

function clean(search: Partial<Record<keyof InboxSearch, string | true | undefined>>): InboxSearch {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as InboxSearch;
}

/** All, mine, nobody's: with how many of them are unread. */
function Whose() {
  const t = useTexts("inbox");
  const search = useSearch({ from: "/shell/inbox" });
  const { id } = useParams({ strict: false });
  const counts = useCountsOfInbox().data;
  const choices = [
    { value: undefined, label: t.all, unread: counts?.unread },
    { value: "me", label: t.mine, unread: counts?.mine },
    { value: "none", label: t.nobodys, unread: counts?.unassigned },
  ];
  return (
    <nav aria-label={t.assignee} className="flex gap-1 rounded-control bg-sunken p-0.5">
      {choices.map((each) => (
        <Link
          key={each.label}
          to={id ? "/inbox/$id" : "/inbox"}
          params={{ id: id ?? "" }}
          search={clean({ ...search, assignee: each.value })}
          replace
          aria-current={search.assignee === each.value ? "true" : undefined}
          className={`flex h-7 grow items-center justify-center gap-1 rounded-[5px] px-1 text-[13px] font-medium max-md:h-10 ${search.assignee === each.value ? "bg-surface shadow-card" : "text-dim hover:text-ink"}`}
        >
          <span className="whitespace-nowrap">{each.label}</span>
          {each.unread && each.unread.conversations > 0 && (
            <span className="tabular shrink-0 rounded-full bg-accent whitespace-nowrap px-1.5 text-[11px] leading-4 text-on-accent" title={t.unreadCount(each.unread.conversations)}>
              {count(each.unread.conversations)}
              {each.unread.more && "+"}
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}
