/** What the organization has by the words that one types: people, calls, conversations, agents, campaigns. */
import { type LinkProps, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { type Schemas, api, data } from "@/api/client";
import { useMe } from "@/api/me";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { isE164, phone } from "@/lib/format";
import type { Command } from "./commands";

const TYPING_MS = 180;
/** A letter alone begins a word of nearly everything. */
const LEAST_CHARS = 2;

/** A command, or a thing with its kind and what tells it from others. */
export interface Found extends Command {
  kind?: string;
  detail?: string;
}

interface Search {
  found: Found[];
  isPending: boolean;
  isFailed: boolean;
}

export function useFound(query: string): Search {
  const t = useTexts("search");
  const { organization } = useMe();
  const navigate = useNavigate();
  const typed = query.trim().slice(0, 200);
  const asked = useRested(typed);
  const isWanted = Boolean(organization) && typed.length >= LEAST_CHARS;
  const answer = useThing(["search", asked], (signal) => data(api.GET("/api/search", { params: { query: { q: asked, limit: 5 } }, signal })), { enabled: isWanted && asked === typed });
  const groups = isWanted && asked === typed ? answer.data?.groups : undefined;
  const found = useMemo<Found[]>(
    () =>
      (groups ?? []).flatMap(({ kind, results }) =>
        results.map((result) => ({
          id: `found ${result.id}`,
          label: isE164(result.title) ? phone(result.title) : result.title,
          kind: t.kinds[kind],
          detail: detailOf(t.states, result.subtitle),
          run: () => void navigate(linkOf(kind, result.id)),
        })),
      ),
    [groups, navigate, t],
  );
  return { found, isPending: isWanted && (asked !== typed || answer.isPending), isFailed: isWanted && answer.isError };
}

/** A text once the typing rests. */
function useRested(text: string): string {
  const [rested, setRested] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setRested(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return rested;
}

function detailOf(states: Record<string, string>, subtitle: string | null): string {
  if (!subtitle) return "";
  const parts = subtitle.split(" · ").map((part) => (isE164(part) ? phone(part) : part));
  return Object.hasOwn(states, subtitle) ? (states[subtitle] ?? subtitle) : parts.join(" · ");
}

function linkOf(kind: Schemas["SearchKind"], id: string): LinkProps {
  switch (kind) {
    case "contact":
      return { to: "/contacts/$id", params: { id } };
    case "call":
      return { to: "/calls/$id", params: { id } };
    case "conversation":
      return { to: "/inbox/$id", params: { id } };
    case "flow":
      return { to: "/agents/$id", params: { id } };
    case "campaign":
      return { to: "/campaigns/$id", params: { id } };
  }
}
