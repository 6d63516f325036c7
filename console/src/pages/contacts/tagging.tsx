/** Contacts that are ticked in the list, and a tag that all of them get or lose. */
import { Minus, Plus, X } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { useAct, useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";
import type { ContactsSearch } from "./route";

/** As the API bounds it. */
const MOST = 500;
const PAGE = 200;
const MOST_TAGS = 50;

export interface Ticks {
  ids: readonly string[];
  has: (id: string) => boolean;
  turn: (id: string) => void;
  set: (ids: readonly string[]) => void;
}

/** Which contacts are ticked; none any more under another filter. */
export function useTicks(search: ContactsSearch): Ticks {
  const filter = `${search.q ?? ""}\n${search.tag ?? ""}`;
  const [ticked, setTicked] = useState<{ filter: string; ids: readonly string[] }>({ filter, ids: [] });
  const ids = ticked.filter === filter ? ticked.ids : [];
  const known = new Set(ids);
  return {
    ids,
    has: (id) => known.has(id),
    turn: (id) => setTicked({ filter, ids: known.has(id) ? ids.filter((each) => each !== id) : [...ids, id] }),
    set: (next) => setTicked({ filter, ids: next }),
  };
}

/** A checkbox over the row's own link, as high as the row. */
export function Tick({ label, isOn, onTurn }: { label: string; isOn: boolean; onTurn: () => void }) {
  return (
    <label className="relative z-[1] flex h-11 w-6 items-center">
      <input type="checkbox" className="size-4 accent-accent" aria-label={label} checked={isOn} onChange={onTurn} />
    </label>
  );
}

/** The newest contacts that match, as many as may be changed at once. */
async function matching(search: ContactsSearch): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await data(api.GET("/api/contacts", { params: { query: { ...search, limit: PAGE, ...(cursor ? { cursor } : {}) } } }));
    ids.push(...page.contacts.map((each) => each.id));
    cursor = page.next_cursor ?? undefined;
  } while (cursor && ids.length < MOST);
  return ids.slice(0, MOST);
}

interface Asked {
  ids: readonly string[];
  tag: string;
  remove: boolean;
}

function useTagging(onDone: () => void) {
  const t = useTexts("contacts");
  const ask = ({ ids, ...asked }: Asked) => data(api.POST("/api/contacts/tags", { body: { ...asked, ids: [...ids] } }));
  const touches = [["contacts"]];
  const back = useChange(ask, touches);
  return useChange(ask, touches, {
    onDone: (result, { tag, remove }) => {
      onDone();
      const ids = result.changed_ids;
      const undo = { label: t.undo, run: () => back.mutate({ ids, tag, remove: !remove }) };
      toast.done(said(t, result, tag, remove), ids.length > 0 ? undo : undefined);
    },
  });
}

function said(t: ReturnType<typeof useTexts<"contacts">>, result: Schemas["TagContacts"], tag: string, remove: boolean): string {
  const changed = result.changed_ids.length;
  const parts = [
    changed === 0 ? t.tagUnchanged : remove ? t.tagRemoved(tag, changed) : t.tagAdded(tag, changed),
    result.missing_ids.length > 0 && t.tagMissing(result.missing_ids.length),
    result.full_ids.length > 0 && t.tagFull(result.full_ids.length, MOST_TAGS),
  ];
  return parts.filter(Boolean).join(" ");
}

/** What may be done with the ticked contacts; `tags` are offered while one types. */
export function TagBar({ ticks, search, tags, isMore }: { ticks: Ticks; search: ContactsSearch; tags: readonly string[]; isMore: boolean }) {
  const t = useTexts("contacts");
  const listId = useId();
  const [text, setText] = useState("");
  const change = useTagging(() => {
    setText("");
    ticks.set([]);
  });
  const all = useAct<undefined, string[]>({ mutationFn: () => matching(search), onSuccess: ticks.set, onError: (error) => toast.refusal(asApiError(error)) });
  if (ticks.ids.length === 0) return null;
  const tag = text.trim();
  const off = ticks.ids.length > MOST ? t.tickedMost(MOST) : tag ? null : t.tagFirst;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (off === null) change.mutate({ ids: ticks.ids, tag, remove: false });
  };
  return (
    <form aria-label={t.tagging} className="flex flex-wrap items-center gap-2 px-6 pb-3 max-md:px-4" onSubmit={submit}>
      <span role="status" className="font-medium">
        {t.ticked(ticks.ids.length)}
      </span>
      <input
        aria-label={t.tag}
        placeholder={t.tag}
        list={listId}
        value={text}
        maxLength={60}
        autoComplete="off"
        className="h-9 w-40 rounded-control border border-line-strong bg-surface px-2.5 hover:border-dim max-md:h-11 max-md:text-base"
        onChange={(event) => setText(event.target.value)}
      />
      <datalist id={listId}>
        {tags.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </datalist>
      <Button icon={Plus} type="submit" needs="contacts:write" busy={change.isPending} off={off}>
        {t.tagAll}
      </Button>
      <Button icon={Minus} needs="contacts:write" busy={change.isPending} off={off} onClick={() => change.mutate({ ids: ticks.ids, tag, remove: true })}>
        {t.untagAll}
      </Button>
      {isMore && (
        <Button look="quiet" busy={all.isPending} onClick={() => all.mutate(undefined)}>
          {t.tickMatching(MOST)}
        </Button>
      )}
      <Button look="quiet" icon={X} onClick={() => ticks.set([])}>
        {t.untick}
      </Button>
    </form>
  );
}
