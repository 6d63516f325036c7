import { useChange } from "@/api/acts";
import { type Schemas, api, data } from "@/api/client";
import { useMe } from "@/api/me";
import { queryClient, useThing } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Switch } from "@/ui/field";
import { Card, Loaded } from "@/ui/layout";

type Notifications = Schemas["Notifications"];
type Patch = Schemas["NotificationsPatch"];
const KEY = ["me", "notifications"];
const KINDS = ["voicemails", "webhooks", "limits"] as const;

/** Each switch is saved at once; a refusal puts it back. */
export function EmailChoices({ organization }: { organization: string }) {
  const t = useTexts("account");
  const isAdmin = useMe().role === "admin";
  const query = useThing(KEY, (signal) => data(api.GET("/api/me/notifications", { signal })));
  const save = useChange(
    (body: Patch) => {
      const before = queryClient.getQueryData<Notifications>(KEY);
      if (before) queryClient.setQueryData(KEY, { ...before, ...Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) });
      return data(api.PATCH("/api/me/notifications", { body }));
    },
    [],
    {
      onDone: (saved) => queryClient.setQueryData(KEY, saved),
      onError: () => {
        void queryClient.invalidateQueries({ queryKey: KEY });
        return false;
      },
    },
  );
  return (
    <Card
      title={t.notifications}
      actions={
        <Button size="sm" look="quiet" busy={save.isPending} onClick={() => save.mutate({ voicemails: null, webhooks: null, limits: null })}>
          {t.reset}
        </Button>
      }
    >
      <Loaded query={query}>
        {(chosen) => (
          <>
            <p className="text-dim">
              {t.notificationsLead(organization)} {chosen.available ? t.sentTo(chosen.email) : t.unavailable}
            </p>
            <div className="mt-2">
              {KINDS.map((kind) => {
                const isForAdmins = kind !== "voicemails" && !isAdmin;
                return <Switch key={kind} label={t[kind]} hint={isForAdmins ? t.adminsOnly : undefined} disabled={isForAdmins} checked={chosen[kind]} onChange={(event) => save.mutate({ [kind]: event.target.checked })} />;
              })}
            </div>
          </>
        )}
      </Loaded>
    </Card>
  );
}
