/** A tool's versions: what each changed. */
import { Link } from "@tanstack/react-router";
import { useTexts } from "@/i18n";
import { Diff } from "@/ui/code/lazy";
import { Button } from "@/ui/button";
import { Loaded, Time } from "@/ui/layout";
import { shownOf } from "./draft";
import { type Tool, useVersions } from "./queries";
import { toolRoute } from "./route";

export function Versions({ tool }: { tool: Tool }) {
  const t = useTexts("tools");
  const search = toolRoute.useSearch();
  const query = useVersions(tool.id);
  const chosen = query.rows.find((each) => each.version === (search.version ?? tool.version));
  const before = query.rows.find((each) => each.version === (chosen?.version ?? 0) - 1);
  return (
    <Loaded query={query}>
      {() => (
        <div className="grid items-start gap-5 md:grid-cols-[13rem_minmax(0,1fr)]">
          <nav aria-label={t.versions}>
            <ol className="space-y-0.5">
              {query.rows.map((each) => (
                <li key={each.version}>
                  <Link
                    to="/tools/$id"
                    params={{ id: tool.id }}
                    search={{ tab: "versions", version: each.version }}
                    resetScroll={false}
                    aria-current={each === chosen ? "true" : undefined}
                    className={`flex justify-between gap-2 rounded-control px-2.5 py-1.5 ${each === chosen ? "bg-accent-soft text-accent" : "text-dim hover:bg-hover hover:text-ink"}`}
                  >
                    <span className="font-medium">{t.versionN(each.version)}</span>
                    <span className="text-xs">
                      <Time at={each.updated_at} />
                    </span>
                  </Link>
                </li>
              ))}
            </ol>
            {query.hasNextPage && (
              <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                {t.more}
              </Button>
            )}
          </nav>
          {chosen && (
            <section aria-label={t.versionN(chosen.version)} className="min-w-0 space-y-2">
              <p className="text-dim">{before ? t.compared(before.version, chosen.version) : t.firstVersion}</p>
              <Diff key={chosen.version} isJson before={before ? shownOf(before) : shownOf(chosen)} after={shownOf(chosen)} beforeLabel={t.versionN(before?.version ?? chosen.version)} afterLabel={t.versionN(chosen.version)} />
            </section>
          )}
        </div>
      )}
    </Loaded>
  );
}
