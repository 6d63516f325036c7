/** What the list of calls is narrowed to; all of it is in the address. */
import { useNavigate } from "@tanstack/react-router";
import { Search, X } from "lucide-react";
import { type ReactNode, memo, useEffect, useState } from "react";
import { useAllFlows } from "@/api/flows";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { Button } from "@/ui/button";
import { type Choice } from "@/ui/field";
import { useNumbers } from "./queries";
import type { ListSearch } from "./search";

const CONTROL = "h-8 rounded-control border border-line bg-surface px-2 text-[13px] text-ink hover:border-line-strong max-md:h-11 max-md:text-base";
const TYPED_MS = 250;

export const Filters = memo(function Filters({ search }: { search: ListSearch }) {
  const t = useTexts("calls");
  const set = useSetFilters();
  const { data: flows } = useAllFlows();
  const { data: numbers } = useNumbers();
  const isFiltered = Object.keys(search).some((name) => name !== "place");
  const voice = flows?.filter((flow) => flow.channel === "voice") ?? [];
  const ofStatus = Object.entries(t.statuses).map(([value, label]) => ({ value, label }));
  return (
    <div role="search" aria-label={t.filters} className="flex flex-wrap items-center gap-2 px-6 pb-3 max-md:flex-nowrap max-md:overflow-x-auto max-md:px-4">
      <SearchBox value={search.q ?? ""} onChange={(q) => set({ q }, true)} />
      <Picker label={t.direction} any={t.anyDirection} value={search.direction} choices={[{ value: "inbound", label: t.inbound }, { value: "outbound", label: t.outbound }]} onChange={(direction) => set({ direction: direction as "inbound" })} />
      <Picker label={t.status} any={t.anyStatus} value={search.status} choices={ofStatus} onChange={(status) => set({ status })} />
      {voice.length > 0 && <Picker label={t.agent} any={t.anyAgent} value={search.flow} choices={voice.map((flow) => ({ value: flow.id, label: flow.name }))} onChange={(flow) => set({ flow })} />}
      {(numbers?.numbers.length ?? 0) > 1 && (
        <Picker label={t.number} any={t.anyNumber} value={search.number} choices={numbers?.numbers.map((each) => ({ value: each.id, label: each.friendly_name ?? phone(each.e164) })) ?? []} onChange={(number) => set({ number })} />
      )}
      <TextFilter label={t.outcome} value={search.outcome} onChange={(outcome) => set({ outcome })} />
      <TextFilter label={t.tag} value={search.tag} onChange={(tag) => set({ tag })} />
      <span className="flex shrink-0 items-center gap-1 text-[13px] text-dim">
        <input type="date" aria-label={t.from} className={CONTROL} value={search.from ?? ""} max={search.to} onChange={(event) => set({ from: event.target.value })} />
        –
        <input type="date" aria-label={t.to} className={CONTROL} value={search.to ?? ""} min={search.from} onChange={(event) => set({ to: event.target.value })} />
      </span>
      {isFiltered && (
        <Button size="sm" look="quiet" icon={X} onClick={() => set(null)}>
          {t.clear}
        </Button>
      )}
    </div>
  );
});

type SetFilters = (change: Partial<Record<keyof ListSearch, string>> | null, isTyping?: boolean) => void;

function useSetFilters(): SetFilters {
  const navigate = useNavigate({ from: "/calls" });
  return (change, isTyping = false) =>
    void navigate({
      to: "/calls",
      replace: isTyping,
      resetScroll: false,
      search: (old) => {
        if (!change) return {};
        const next: Record<string, unknown> = { ...old, ...change };
        for (const [name, value] of Object.entries(next)) if (value === "" || value === undefined) delete next[name];
        return next as ListSearch;
      },
    });
}

/** Asks once one stops typing. */
function SearchBox({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const t = useTexts("calls");
  const [text, setText] = useState(value);
  const [asked, setAsked] = useState(value);
  if (value !== asked && value !== text.trim()) {
    setAsked(value); // the address changed by another way: back, a link, "clear"
    setText(value);
  }
  useEffect(() => {
    if (text.trim() === value) return undefined;
    const timer = setTimeout(() => {
      setAsked(text.trim());
      onChange(text.trim());
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <span className="relative min-w-44 flex-1 basis-44 max-w-sm">
      <Search size={14} aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-dim" />
      <input
        id="calls-q"
        type="search"
        aria-label={t.searchCalls}
        placeholder={t.searchPlaceholder}
        value={text}
        maxLength={200}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && (text ? setText("") : event.currentTarget.blur())}
        className={`${CONTROL} w-full pl-8`}
      />
    </span>
  );
}

function Picker({ label, any, value, choices, onChange }: { label: string; any: string; value: string | undefined; choices: readonly Choice[]; onChange: (value: string) => void }): ReactNode {
  return (
    <select aria-label={label} value={value ?? ""} onChange={(event) => onChange(event.target.value)} className={`${CONTROL} max-w-52 shrink-0 pr-6 ${value ? "border-accent bg-accent-soft" : ""}`}>
      <option value="">{any}</option>
      {choices.map((each) => (
        <option key={each.value} value={each.value}>
          {each.label}
        </option>
      ))}
    </select>
  );
}

/** A word that must be the same: taken with Enter or on leaving. */
function TextFilter({ label, value, onChange }: { label: string; value: string | undefined; onChange: (value: string) => void }) {
  return (
    <input
      key={value ?? ""}
      aria-label={label}
      placeholder={label}
      defaultValue={value ?? ""}
      maxLength={60}
      className={`${CONTROL} w-26 shrink-0 ${value ? "border-accent bg-accent-soft" : ""}`}
      onKeyDown={(event) => event.key === "Enter" && onChange(event.currentTarget.value.trim())}
      onBlur={(event) => event.target.value.trim() !== (value ?? "") && onChange(event.target.value.trim())}
    />
  );
}
