import { Link2 } from "lucide-react";
import { useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, readError } from "@/api/client";
import { useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/dialog";
import { Badge, Card, Loaded, Time } from "@/ui/layout";
import { toast } from "@/ui/toast";

type SignIn = Schemas["SignIn"];
const KEY = ["me", "sign-ins"];

/** The page lets no form lead to the provider, so the address is asked for. */
async function beginLink(): Promise<{ location: string }> {
  const answer = await fetch("/auth/link?return_to=/me", { method: "POST", headers: { Accept: "application/json" } });
  if (!answer.ok) throw await readError(answer);
  return (await answer.json()) as { location: string };
}

/** The accounts with which one signs in. Linking leads through the provider's pages. */
export function SignIns() {
  const t = useTexts("account");
  const query = useThing(KEY, (signal) => data(api.GET("/api/me/sign-ins", { signal })));
  const [removed, setRemoved] = useState<SignIn | null>(null);
  const link = useChange(beginLink, [], { onDone: ({ location: issuer }) => location.assign(issuer) });
  return (
    <Card title={t.signIns} isFlush>
      <p className="px-4 pt-3 pb-1 text-dim">{t.signInsLead}</p>
      <Loaded query={query} skeleton={<div className="h-16" />}>
        {({ sign_ins: all }) => (
          <ul>
            {all.map((each, at) => (
              <li key={each.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-4 py-2.5">
                <span className="min-w-40 flex-1">
                  <span className="block truncate font-medium">{each.email ?? t.unlinked}</span>
                  <span className="block truncate text-xs text-dim">{each.issuer}</span>
                </span>
                {at === 0 && all.length > 1 && <Badge>{t.first}</Badge>}
                <span className="text-xs text-dim max-md:w-full">
                  {t.used} <Time at={each.used_at} />
                </span>
                <Button size="sm" off={all.length === 1 ? t.onlyOne : null} aria-label={t.removeOf(each.email ?? each.issuer)} onClick={() => setRemoved(each)}>
                  {t.remove}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <div className="flex flex-wrap items-center gap-3 px-4 py-3">
        <Button icon={Link2} busy={link.isPending} onClick={() => link.mutate(undefined)}>
          {t.linkAnother}
        </Button>
        <p className="min-w-48 flex-1 text-xs text-dim">{t.linkHint}</p>
      </div>
      {removed && <Remove signIn={removed} onClose={() => setRemoved(null)} />}
    </Card>
  );
}

function Remove({ signIn, onClose }: { signIn: SignIn; onClose: () => void }) {
  const t = useTexts("account");
  const [isStale, setStale] = useState(false);
  const remove = useChange(() => api.DELETE("/api/me/sign-ins/{id}", { params: { path: { id: signIn.id } } }), [KEY], {
    onDone: () => {
      toast.done(t.removed);
      onClose();
    },
    onError: (error) => {
      setStale(error.status === 403);
      return error.status === 403;
    },
  });
  return (
    <Confirm isOpen onClose={onClose} title={t.removeTitle} verb={t.remove} isBusy={remove.isPending} onConfirm={() => remove.mutate(undefined)}>
      <p className="font-medium">{signIn.email ?? signIn.issuer}</p>
      <p className="mt-1">{t.removeLead}</p>
      {isStale && (
        <p role="alert" className="mt-2 font-medium text-bad">
          {t.stale}
        </p>
      )}
    </Confirm>
  );
}
