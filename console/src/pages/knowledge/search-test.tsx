/** What an agent would be shown: the same search, with why each passage was found. */
import { Link, useNavigate } from "@tanstack/react-router";
import { Search, SearchX } from "lucide-react";
import { type Schemas, api, data } from "@/api/client";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { TextField } from "@/ui/field";
import { Badge, Empty, Loaded } from "@/ui/layout";
import { knowledgeRoute } from "./route";

export function SearchTest() {
  const t = useTexts("knowledge");
  const { q } = knowledgeRoute.useSearch();
  const navigate = useNavigate();
  return (
    <div className="max-w-3xl space-y-4 px-6 py-4 max-md:px-4">
      <form
        key={q}
        role="search"
        className="flex items-start gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          const words = String(new FormData(event.currentTarget).get("q")).trim();
          void navigate({ to: "/knowledge", search: { tab: "search", ...(words ? { q: words } : {}) }, replace: true });
        }}
      >
        <div className="flex-1">
          <TextField label={t.question} isBare type="search" name="q" maxLength={500} placeholder={t.questionHint} defaultValue={q} autoComplete="off" />
        </div>
        <Button look="primary" type="submit" icon={Search}>
          {t.find}
        </Button>
      </form>
      {q ? <Found q={q} /> : <p className="text-dim">{t.searchLead}</p>}
    </div>
  );
}

function Found({ q }: { q: string }) {
  const t = useTexts("knowledge");
  const query = useThing(["knowledge", "search", q], (signal) => data(api.POST("/api/knowledge/search", { body: { query: q, limit: 10 }, signal })));
  return (
    <Loaded query={query}>
      {(found) =>
        found.passages.length === 0 ? (
          <Empty icon={SearchX} title={t.nothingFound}>
            {t.nothingFoundLead}
          </Empty>
        ) : (
          <>
            {!found.by_meaning && <p className="text-[13px] text-dim">{t.wordsOnly}</p>}
            <ol className="space-y-3">
              {found.passages.map((passage, at) => (
                <Passage key={at} passage={passage} />
              ))}
            </ol>
          </>
        )
      }
    </Loaded>
  );
}

function Passage({ passage }: { passage: Schemas["FoundPassage"] }) {
  const t = useTexts("knowledge");
  return (
    <li className="rounded-card border border-line bg-surface p-4 shadow-card">
      <div className="flex flex-wrap items-center gap-2">
        <Link to="/knowledge/$id" params={{ id: passage.document_id }} className="min-w-0 flex-1 truncate font-medium hover:underline">
          {passage.source}
        </Link>
        {passage.rank_by_words !== null && <Badge>{t.byWords(passage.rank_by_words)}</Badge>}
        {passage.rank_by_meaning !== null && <Badge tone="accent">{t.byMeaning(passage.rank_by_meaning)}</Badge>}
      </div>
      {passage.heading && <p className="mt-0.5 text-xs text-dim">{passage.heading}</p>}
      <p className="mt-2 text-[13px] whitespace-pre-wrap">{passage.text}</p>
    </li>
  );
}
