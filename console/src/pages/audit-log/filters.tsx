/** What the log is narrowed to; all of it is in the address. */
import { useNavigate } from "@tanstack/react-router";
import { X } from "lucide-react";
import { api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import type { AuditFilter } from "./route";

const CONTROL = "h-8 rounded-control border border-line bg-surface px-2 text-[13px] text-ink hover:border-line-strong max-md:h-11 max-md:text-base";

interface Actor {
  actor: string;
  name: string;
}

export function Filters({ filter, shown }: { filter: AuditFilter; shown: Actor[] }) {
  const t = useTexts("auditLog");
  const navigate = useNavigate();
  const set = (change: AuditFilter): void => {
    const next = Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value !== ""));
    void navigate({ to: "/audit-log", search: next, resetScroll: false });
  };
  return (
    <div role="search" aria-label={t.filters} className="flex flex-wrap items-center gap-2 px-6 pb-3 max-md:px-4">
      <People actor={filter.actor ?? ""} shown={shown} onChange={(actor) => set({ actor })} />
      <select aria-label={t.kind} value={filter.kind ?? ""} onChange={(event) => set({ kind: event.target.value })} className={`${CONTROL} max-w-52`}>
        <option value="">{t.anything}</option>
        {Object.entries(t.kinds).map(([kind, label]) => (
          <option key={kind} value={kind}>
            {label}
          </option>
        ))}
      </select>
      <span className="flex items-center gap-1 text-[13px] text-dim">
        <input type="date" aria-label={t.from} className={CONTROL} value={filter.from ?? ""} max={filter.to} onChange={(event) => set({ from: event.target.value })} />
        –
        <input type="date" aria-label={t.to} className={CONTROL} value={filter.to ?? ""} min={filter.from} onChange={(event) => set({ to: event.target.value })} />
      </span>
      {Object.keys(filter).length > 0 && (
        <Button size="sm" look="quiet" icon={X} onClick={() => void navigate({ to: "/audit-log", search: {} })}>
          {t.clear}
        </Button>
      )}
    </div>
  );
}

/** Members and keys as they are now; of others, such as people who left, those of whom entries are shown. */
function People({ actor, shown, onChange }: { actor: string; shown: Actor[]; onChange: (actor: string) => void }) {
  const t = useTexts("auditLog");
  const members = useList(
    ["team", "members"],
    (cursor, signal) => data(api.GET("/api/team", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.members.map((each) => ({ ...each, id: each.user_id })),
  );
  const keys = useList(
    ["api-keys"],
    (cursor, signal) => data(api.GET("/api/api-keys", { params: { query: { limit: 100, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.api_keys,
  );
  const people = members.rows.map((each) => ({ actor: `user:${each.user_id}`, name: each.name ?? each.email }));
  const ofKeys = keys.rows.map((each) => ({ actor: `key:${each.id}`, name: each.name }));
  const listed = new Set([...people, ...ofKeys].map((each) => each.actor));
  const others = [...new Map(shown.filter((each) => !listed.has(each.actor)).map((each) => [each.actor, each])).values()];
  if (actor && !listed.has(actor) && others.every((each) => each.actor !== actor)) others.push({ actor, name: actor });
  const groups = [
    { label: t.people, of: people },
    { label: t.keys, of: ofKeys },
    { label: t.others, of: others },
  ];
  return (
    <select aria-label={t.person} value={actor} onChange={(event) => onChange(event.target.value)} className={`${CONTROL} max-w-60`}>
      <option value="">{t.anybody}</option>
      {groups
        .filter((group) => group.of.length > 0)
        .map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.of.map((each) => (
              <option key={each.actor} value={each.actor}>
                {each.name}
              </option>
            ))}
          </optgroup>
        ))}
    </select>
  );
}
