import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { RotateCcw } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { asApiError } from "@/api/queries";
import { useFlow } from "@/api/flows";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Diff } from "@/ui/code/lazy";
import { Confirm } from "@/ui/dialog";
import { Badge, Card, Failure, Loaded, Skeleton, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";
import { useEditing } from "./edit/editing";
import { type Flow, changesOf, draftOf, isField, namesOf, textOf } from "./flow";
import { type Version, patchFlow, useFlowAt, useVersions } from "./queries";

const route = getRouteApi("/shell/agents/$id");

/** The versions of an agent, and any two of them side by side. */
export default function Versions() {
  const t = useTexts("agents");
  const { id } = route.useParams();
  const search = route.useSearch();
  const navigate = useNavigate();
  const query = useVersions(id);
  const [wanted, setWanted] = useState<Flow | null>(null);
  const { rows } = query;
  const newest = rows[0];
  if (query.error && !newest) return <Failure error={query.error} onRetry={() => void query.refetch()} />;
  if (!newest) return <Skeleton lines={8} />;
  const to = rows.find((each) => each.version === search.to) ?? newest;
  const from = rows.find((each) => each.version === search.from) ?? rows.find((each) => each.version < to.version) ?? to;
  const choose = (part: "from" | "to", version: number): void => void navigate({ to: "/agents/$id", params: { id }, search: { tab: "versions", from: from.version, to: to.version, [part]: version }, replace: true });
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[22rem_minmax(0,1fr)]">
      <Card title={t.versions.title} isFlush>
        <div className="max-h-[70dvh] overflow-auto" role="region" aria-label={t.versions.title} tabIndex={0}>
          <table className="w-full text-[13px]">
            <thead>
              <tr className="text-left text-xs whitespace-nowrap text-dim">
                <th scope="col" className="py-1.5 pl-4 font-medium">{t.version}</th>
                <th scope="col" className="font-medium">{t.versions.saved}</th>
                <th scope="col" className="px-1.5 text-center font-medium">{t.versions.from}</th>
                <th scope="col" className="pr-4 pl-1.5 text-center font-medium">{t.versions.to}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((each) => (
                <tr key={each.version} className="border-t border-line">
                  <td className="py-2 pl-4">
                    <span className="font-medium tabular">{each.version}</span> {each === newest && <Badge tone="good">{t.versions.current}</Badge>}
                    <Touched version={each} />
                  </td>
                  <td className="align-top pt-2">
                    <Time at={each.updated_at} />
                  </td>
                  {(["from", "to"] as const).map((part) => (
                    <td key={part} className={`text-center ${part === "to" ? "pr-4 pl-1.5" : "px-1.5"}`}>
                      <input
                        type="radio"
                        name={`version-${part}`}
                        aria-label={part === "from" ? t.versions.compareFrom(each.version) : t.versions.compareTo(each.version)}
                        className="size-4 accent-(--color-accent)"
                        checked={(part === "from" ? from : to).version === each.version}
                        onChange={() => choose(part, each.version)}
                      />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          {query.hasNextPage && (
            <div className="p-3 text-center">
              <Button size="sm" busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                {t.versions.older}
              </Button>
            </div>
          )}
        </div>
      </Card>
      {rows.length === 1 ? <p className="text-dim">{t.versions.only}</p> : <Comparison key={`${from.version} ${to.version}`} id={id} from={from.version} to={to.version} newest={newest.version} onRestore={setWanted} />}
      {wanted && <Restore flow={wanted} onClose={() => setWanted(null)} />}
    </div>
  );
}

/** What a version changed, in the form's words. */
function Touched({ version }: { version: Version }) {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  if (version.version === 1) return <span className="block text-xs text-dim">{t.versions.first}</span>;
  const names = version.changed.filter(isField).map((name) => form.fields[name].label);
  return <span className="line-clamp-2 block text-xs text-dim">{names.join(", ")}</span>;
}

interface Compared {
  id: string;
  from: number;
  to: number;
  newest: number;
  onRestore: (flow: Flow) => void;
}

/** The two that are compared come whole, and no others. */
function Comparison({ id, from, to, newest, onRestore }: Compared) {
  const t = useTexts("agents");
  const [before, after] = [useFlowAt(id, from), useFlowAt(id, to)];
  return (
    <section aria-label={t.versions.compared(from, to)} className="min-w-0 space-y-3">
      <Loaded query={before}>{(a) => <Loaded query={after}>{(b) => <Differences from={a} to={b} newest={newest} onRestore={onRestore} />}</Loaded>}</Loaded>
    </section>
  );
}

function Differences({ from, to, newest, onRestore }: { from: Flow; to: Flow; newest: number; onRestore: (flow: Flow) => void }) {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const { isDirty } = useEditing();
  const [a, b] = [draftOf(from), draftOf(to)];
  const names = namesOf(changesOf(a, b));
  return (
    <>
      <div className="flex flex-wrap items-center gap-2">
        <h2 className="min-w-0 flex-1 text-sm">{t.versions.compared(from.version, to.version)}</h2>
        {[from, to]
          .filter((each, at, both) => each.version !== newest && both.findIndex((other) => other.version === each.version) === at)
          .map((each) => (
            <Button key={each.version} size="sm" icon={RotateCcw} needs="flows:write" off={isDirty ? t.versions.saveFirst : null} onClick={() => onRestore(each)}>
              {t.versions.restore(each.version)}
            </Button>
          ))}
      </div>
      {from.version === to.version ? (
        <p className="text-dim">{t.versions.same}</p>
      ) : names.length === 0 ? (
        <p className="text-dim">{t.versions.noDifference}</p>
      ) : (
        <>
          {names
            .filter((name) => typeof a[name] === "string" && typeof b[name] === "string" && (`${a[name]}${b[name]}`).length > 80)
            .map((name) => (
              <div key={name} className="space-y-1">
                <h3 className="text-[13px]">{form.fields[name].label}</h3>
                <Diff before={String(a[name])} after={String(b[name])} beforeLabel={t.versionN(from.version)} afterLabel={t.versionN(to.version)} />
              </div>
            ))}
          <h3 className="text-[13px]">{t.versions.whole}</h3>
          <Diff isJson before={textOf(a)} after={textOf(b)} beforeLabel={t.versionN(from.version)} afterLabel={t.versionN(to.version)} />
        </>
      )}
    </>
  );
}

/** An old version becomes the newest: nothing in between is lost. */
function Restore({ flow, onClose }: { flow: Flow; onClose: () => void }) {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const current = useFlow(flow.id).data;
  const changes = current ? changesOf(draftOf(current), draftOf(flow)) : {};
  const restore = useChange(() => patchFlow(current ?? flow, changes), [["flows"]], {
    onDone: (saved) => {
      toast.done(t.versions.restored(flow.version, saved.version));
      onClose();
    },
    onError: (error) => {
      const refusal = asApiError(error);
      toast.refusal(refusal);
      return true;
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.versions.restoreTitle(flow.version)} verb={t.versions.restore(flow.version)} needs="flows:write" isBusy={restore.isPending} onConfirm={() => restore.mutate(undefined)}>
      <p>{t.versions.restoreLead((current?.version ?? flow.version) + 1)}</p>
      <p className="mt-2 text-dim">
        {namesOf(changes)
          .map((name) => form.fields[name].label)
          .join(", ")}
      </p>
    </Confirm>
  );
}
