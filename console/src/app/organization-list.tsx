/** The organizations that one may work in; loaded when the list is opened. */
import { Check } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef } from "react";
import { useMe } from "@/api/me";
import { useTexts } from "@/i18n";
import { useLeaving } from "./leaving";
import { switchOrganization } from "./organizations";

export default function OrganizationList({ close }: { close: () => void }) {
  const t = useTexts("shell");
  const me = useMe();
  const list = useRef<HTMLUListElement>(null);
  useLeaving(list, close);
  useEffect(() => list.current?.querySelector<HTMLElement>('[aria-current="true"]')?.focus(), []);
  return (
    // The keys move the focus among the buttons inside.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <ul aria-label={t.organization} ref={list} onKeyDown={(event) => moved(event, list.current)} className="absolute top-full left-2 z-30 max-h-80 w-60 overflow-auto rounded-card border border-line bg-raised p-1 shadow-float">
      {me.organizations.map((each) => {
        const isHere = each.id === me.organization?.id;
        return (
          <li key={each.id}>
            <button type="button" aria-current={isHere} onClick={() => (isHere ? close() : void switchOrganization(each.id))} className="flex w-full items-center gap-2 rounded-control px-2.5 py-1.5 text-left hover:bg-hover focus-visible:bg-hover focus-visible:outline-offset-[-2px]">
              <span className="min-w-0 flex-1 truncate">{each.name}</span>
              {isHere && <Check size={14} aria-hidden className="text-accent" />}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** Arrows, Home, End and the first letter go through the list. */
function moved(event: KeyboardEvent, box: HTMLElement | null): void {
  const buttons = [...(box?.querySelectorAll<HTMLElement>("li button") ?? [])];
  const at = buttons.findIndex((each) => each === document.activeElement);
  const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 };
  if (event.key in to) buttons.at((to[event.key] ?? 0) % buttons.length)?.focus();
  else if (/^\S$/.test(event.key) && !event.ctrlKey && !event.metaKey) {
    const after = [...buttons.slice(at + 1), ...buttons.slice(0, at + 1)];
    after.find((each) => each.textContent?.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}
