/** Ctrl K: pages and commands by name, and what the organization has; and `?`: the shortcuts. Loaded when first opened. */
import { Dialog as Base } from "@base-ui/react/dialog";
import { useNavigate } from "@tanstack/react-router";
import { Fragment, use, useMemo, useState } from "react";
import { loadTexts, useTexts } from "@/i18n";
import { can, useMe } from "@/api/me";
import { TABS } from "@/pages/settings/route";
import { type Command, useAllCommands } from "./commands";
import { type Found, useFound } from "./search";

const texts = Promise.all([loadTexts("search"), loadTexts("settings")]);

export default function Palette({ mode, onClose }: { mode: "commands" | "keys"; onClose: () => void }) {
  use(texts);
  const t = useTexts("shell");
  return (
    <Base.Root open onOpenChange={(open) => !open && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-[#00000066]" />
        <Base.Popup data-palette className="fixed top-[12dvh] left-1/2 z-40 flex max-h-[70dvh] w-[min(36rem,94vw)] -translate-x-1/2 flex-col overflow-hidden rounded-card border border-line bg-raised shadow-float outline-none">
          <Base.Title className={mode === "keys" ? "px-4 pt-4 text-base font-semibold" : "sr-only"}>{mode === "keys" ? t.shortcuts : t.palette}</Base.Title>
          {mode === "keys" ? <Keys /> : <Commands onClose={onClose} />}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

function Commands({ onClose }: { onClose: () => void }) {
  const t = useTexts("shell");
  const own = useTexts("search");
  const pages = useAllCommands();
  const tabs = useSettingsTabs();
  const all = useMemo(() => [...pages, ...tabs], [pages, tabs]);
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(0);
  const search = useFound(query);
  const commands = useMemo(() => matching(all, query), [all, query]);
  const found: Found[] = [...commands, ...search.found];
  const choose = (at: number): void => {
    setChosen(at);
    document.getElementById(`palette-${at}`)?.scrollIntoView({ block: "nearest" });
  };
  const run = (command: Command | undefined): void => {
    if (!command) return;
    onClose();
    command.run();
  };
  const note = search.isPending ? own.searching : search.isFailed ? own.failed : found.length === 0 ? t.nothingFound : "";
  return (
    <>
      <input
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[chosen] ? `palette-${chosen}` : undefined}
        aria-label={t.palette}
        placeholder={own.placeholder}
        maxLength={200}
        className="border-b border-line bg-transparent px-4 py-3.5 text-base outline-none"
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setChosen(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") choose(Math.min(found.length - 1, chosen + 1));
          else if (event.key === "ArrowUp") choose(Math.max(0, chosen - 1));
          else if (event.key === "Enter") run(found[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      <ul id="palette-list" role="listbox" aria-label={t.palette} className="min-h-0 flex-1 overflow-auto p-1.5">
        {found.map((command, at) => (
          <Fragment key={command.id}>
            {command.kind && command.kind !== found[at - 1]?.kind && (
              <li role="presentation" className="px-3 pt-3 pb-1 text-xs font-medium text-dim">
                {command.kind}
              </li>
            )}
            {/* The input keeps the focus and takes the keys; the pointer may choose too. */}
            {/* oxlint-disable-next-line jsx-a11y/click-events-have-key-events */}
            <li
              id={`palette-${at}`}
              role="option"
              aria-selected={at === chosen}
              className="flex items-center gap-3 rounded-control px-3 py-2 aria-selected:bg-hover"
              onPointerMove={() => setChosen(at)}
              onClick={() => run(command)}
            >
              <span className={command.detail ? "max-w-[50%] shrink-0 truncate" : "min-w-0 flex-1 truncate"}>{command.label}</span>
              {command.detail && <span className="min-w-0 flex-1 truncate text-[13px] text-dim">{command.detail}</span>}
              {command.kind && <span className="sr-only">{command.kind}</span>}
              {command.group && <span className="text-xs text-dim">{command.group}</span>}
              {command.keys && <KeyNames keys={command.keys} />}
            </li>
          </Fragment>
        ))}
      </ul>
      <p role="status" className={note ? "px-4 pb-4 text-center text-dim" : "sr-only"}>
        {note || own.found(found.length)}
      </p>
    </>
  );
}

/** The parts of the organization's settings, by their names. */
function useSettingsTabs(): Command[] {
  const t = useTexts("settings");
  const me = useMe();
  const navigate = useNavigate();
  return useMemo(
    () =>
      TABS.filter((each) => can(me, "team:read") && (each !== "emails" || me.role === "admin")).map((tab) => ({
        id: `settings ${tab}`,
        label: t.tabs[tab],
        group: t.title,
        run: () => void navigate({ to: "/settings", search: tab === "general" ? {} : { tab } }),
      })),
    [t, me, navigate],
  );
}

function Keys() {
  const t = useTexts("shell");
  const withKeys = useAllCommands().filter((each) => each.keys);
  return (
    <>
      <dl className="grid grid-cols-1 gap-x-8 gap-y-1 overflow-auto p-4 sm:grid-cols-2">
        {withKeys.map((each) => (
          <div key={each.id} className="flex items-center justify-between gap-3 py-1">
            <dt>{each.label}</dt>
            <dd>
              <KeyNames keys={each.keys ?? ""} />
            </dd>
          </div>
        ))}
      </dl>
      <a href="/guides" className="border-t border-line px-4 py-2.5 text-accent underline">
        {t.nav.guides}
      </a>
    </>
  );
}

function KeyNames({ keys }: { keys: string }) {
  const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return (
    <span className="flex gap-1">
      {keys.split(/[ +]/).map((key) => (
        <kbd key={key} className="min-w-5 rounded border border-line bg-sunken px-1 text-center font-sans text-[11px] text-dim">
          {key === "mod" ? (isMac ? "⌘" : "Ctrl") : key.toUpperCase()}
        </kbd>
      ))}
    </span>
  );
}

/** Commands that have all the words of the query, those that begin with it first. */
export function matching(all: readonly Command[], query: string): Command[] {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const first = words[0] ?? "";
  return all
    .filter((each) => words.every((word) => fold(`${each.label} ${each.group ?? ""}`).includes(word)))
    .toSorted((a, b) => Number(fold(b.label).startsWith(first)) - Number(fold(a.label).startsWith(first)))
    .slice(0, 60);
}

function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
