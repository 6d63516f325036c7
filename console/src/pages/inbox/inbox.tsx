import { Outlet, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Ban, CircleHelp, Clock, FileText, MessagesSquare, SquarePen } from "lucide-react";
import { useMemo, useState } from "react";
import { type Command, useCommands } from "@/app/commands";
import { useTexts } from "@/i18n";
import { Button, ButtonLink, IconButton } from "@/ui/button";
import { Empty } from "@/ui/layout";
import { Menu } from "@/ui/menu";
import { Compose } from "./compose";
import { Filters } from "./filters";
import { Conversations } from "./list";
import { useUnknown } from "./queries";

/** The list of threads beside the one that is open; on a phone one of the two. */
export function Inbox() {
  const t = useTexts("inbox");
  const { id } = useParams({ strict: false });
  const navigate = useNavigate();
  const { to: recipient, ...search } = useSearch({ from: "/shell/inbox" });
  const [isComposing, setComposing] = useState(false);
  const closeCompose = (): void => {
    setComposing(false);
    if (recipient !== undefined) void navigate({ to: ".", search, replace: true });
  };
  const go = (to: "/inbox/templates" | "/inbox/scheduled" | "/inbox/unknown" | "/inbox/opt-outs") => () => void navigate({ to });
  useCommands(
    useMemo<Command[]>(
      () => [
        { id: "inbox new", label: t.newText, keys: "c", group: t.title, run: () => setComposing(true) },
        { id: "inbox search", label: t.search, keys: "/", group: t.title, run: () => document.querySelector<HTMLInputElement>("#inbox-search")?.focus() },
      ],
      [t],
    ),
  );
  return (
    <div className="flex h-full min-h-0">
      <section aria-label={t.title} className={`${id ? "hidden lg:flex" : "flex"} min-h-0 w-full shrink-0 flex-col border-line bg-surface lg:w-88 lg:border-r`}>
        <header className="flex items-center gap-1 px-4 pt-4 pb-2">
          <h1 className="min-w-0 flex-1 text-xl tracking-tight">{t.title}</h1>
          <IconButton label={t.newText} icon={SquarePen} needs="sms:write" onClick={() => setComposing(true)} />
          <Menu
            label={t.more}
            items={[
              { label: t.templates.title, icon: FileText, onSelect: go("/inbox/templates") },
              { label: t.scheduled.title, icon: Clock, onSelect: go("/inbox/scheduled") },
              { label: t.unknown.title, icon: CircleHelp, onSelect: go("/inbox/unknown") },
              { label: t.optOuts.title, icon: Ban, onSelect: go("/inbox/opt-outs") },
            ]}
          />
        </header>
        <Filters />
        <UnknownNotice />
        <Conversations
          empty={
            <Empty icon={MessagesSquare} title={t.empty} action={<Button icon={SquarePen} needs="sms:write" onClick={() => setComposing(true)}>{t.newText}</Button>}>
              {t.emptyLead}
            </Empty>
          }
        />
      </section>
      <div className={`${id ? "flex" : "hidden lg:flex"} min-h-0 min-w-0 flex-1`}>
        <Outlet />
      </div>
      {(isComposing || recipient !== undefined) && <Compose to={recipient ?? ""} onClose={closeCompose} />}
    </div>
  );
}

/** Texts that nobody knows of wait for a person: they are never sent again by themselves. */
function UnknownNotice() {
  const t = useTexts("inbox");
  const { data } = useUnknown();
  if (!data || data.messages.length === 0) return null;
  return (
    <div className="flex items-center gap-2 border-t border-line bg-warn-soft px-4 py-1.5 text-[13px] text-warn">
      <CircleHelp size={15} aria-hidden className="shrink-0" />
      <p className="min-w-0 flex-1">{t.unknown.notice(data.messages.length, Boolean(data.next_cursor))}</p>
      <ButtonLink size="sm" look="quiet" to="/inbox/unknown">
        {t.unknown.decide}
      </ButtonLink>
    </div>
  );
}

export function NothingChosen() {
  const t = useTexts("inbox");
  return (
    <div className="grid flex-1 place-items-center">
      <Empty icon={MessagesSquare} title={t.nothingChosen}>
        {t.nothingChosenLead}
      </Empty>
    </div>
  );
}
