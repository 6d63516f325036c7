import { Link } from "@tanstack/react-router";
import { type KeyboardEvent, useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { toast } from "@/ui/toast";
import { useTemplates } from "./queries";

type Template = Schemas["SmsTemplate"];
const MOST_SHOWN = 8;

interface Picker {
  isOpen: boolean;
  found: Template[];
  isLoading: boolean;
  chosen: number;
  choose: (at: number) => void;
  insert: (template: Template) => void;
  toggle: () => void;
  /** Whether the key was the picker's. */
  onKey: (event: KeyboardEvent<HTMLTextAreaElement>) => boolean;
  aria: { "aria-haspopup"?: "listbox"; "aria-controls"?: string; "aria-activedescendant"?: string | undefined; "aria-autocomplete"?: "list" };
}

/** Templates by name or words; all of them for none. */
export function matching(templates: readonly Template[], wanted: string): Template[] {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  return templates.filter((each) => words.every((word) => `${each.name ?? ""} ${each.body ?? ""}`.toLowerCase().includes(word))).slice(0, MOST_SHOWN);
}

/** `/` as the first letter of a text picks a template: what follows finds it, Enter takes it with this contact's values. */
export function useTemplatePicker(conversationId: string, body: string, onInsert: (body: string) => void): Picker {
  const t = useTexts("inbox");
  const isSlash = body.startsWith("/") && !body.includes("\n");
  const [isDismissed, setDismissed] = useState(false);
  const [isForced, setForced] = useState(false);
  const [chosen, setChosen] = useState(0);
  if (isDismissed && !isSlash) setDismissed(false);
  const isOpen = isForced || (isSlash && !isDismissed);
  const query = useTemplates(isOpen);
  const found = matching(query.data?.templates ?? [], isSlash ? body.slice(1) : "");
  const at = Math.min(chosen, Math.max(0, found.length - 1));
  const close = (): void => {
    setDismissed(true);
    setForced(false);
  };
  const insert = (template: Template): void => {
    data(api.GET("/api/sms/templates/{id}/rendered", { params: { path: { id: template.id }, query: { conversation_id: conversationId } } })).then(
      (rendered) => {
        onInsert(isSlash || body.trim() === "" ? rendered.body : `${body.trimEnd()}\n${rendered.body}`);
        setForced(false);
        if (rendered.missing.length > 0) toast.done(t.templateMissing(rendered.missing.join(", ")));
      },
      (error: unknown) => toast.refusal(asApiError(error)),
    );
  };
  return {
    isOpen,
    found,
    isLoading: query.isPending,
    chosen: at,
    choose: setChosen,
    insert,
    toggle: () => {
      setDismissed(isOpen);
      setForced(!isOpen);
      onInsert(body);
    },
    onKey: (event) => {
      if (!isOpen) return false;
      const template = found[at];
      if (event.key === "ArrowDown") setChosen(Math.min(found.length - 1, at + 1));
      else if (event.key === "ArrowUp") setChosen(Math.max(0, at - 1));
      else if (event.key === "Escape") close();
      else if ((event.key === "Enter" || event.key === "Tab") && template && !event.ctrlKey && !event.metaKey) insert(template);
      else return false;
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
    aria: isOpen ? { "aria-haspopup": "listbox", "aria-controls": "template-list", "aria-autocomplete": "list", "aria-activedescendant": found[at] && `template-${at}` } : {},
  };
}

export function TemplatePicker({ picker }: { picker: Picker }) {
  const t = useTexts("inbox");
  if (!picker.isOpen) return null;
  return (
    <div className="absolute inset-x-0 bottom-full z-20 mb-2 overflow-hidden rounded-card border border-line bg-raised shadow-float">
      <ul id="template-list" role="listbox" aria-label={t.templates.title} className="max-h-72 overflow-auto p-1">
        {picker.found.map((each, at) => (
          // The textarea keeps the focus and takes the keys; the pointer may choose too.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
          <li
            key={each.id}
            id={`template-${at}`}
            role="option"
            aria-selected={at === picker.chosen}
            className="rounded-control px-3 py-1.5 aria-selected:bg-hover"
            onPointerMove={() => picker.choose(at)}
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => picker.insert(each)}
          >
            <span className="block truncate font-medium">{each.name}</span>
            <span className="block truncate text-[13px] text-dim">{each.body}</span>
          </li>
        ))}
      </ul>
      {picker.found.length === 0 && (
        <p className="px-3 py-2 text-dim">
          {picker.isLoading ? t.templates.loading : t.templates.noneFound}{" "}
          <Link to="/inbox/templates" className="font-medium text-accent underline">
            {t.templates.title}
          </Link>
        </p>
      )}
    </div>
  );
}
