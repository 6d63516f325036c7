import { useState } from "react";
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
const KINDS = ["voicemails", "transfers", "webhooks", "limits"] as const;
const OF_ADMINS: readonly string[] = ["webhooks", "limits"];

/** Each switch is saved at once; a refusal puts it back. */
export function EmailChoices({ organization }: { organization: string }) {
  const t = useTexts("account");
  const isAdmin = useMe().role === "admin";
  const query = useThing(KEY, (signal) => data(api.GET("/api/me/notifications", { signal })));
  // A switch that waited for the query's cache would be put back for a moment by the click itself.
  const [turned, setTurned] = useState<Partial<Notifications>>({});
  const save = useChange((body: Patch) => data(api.PATCH("/api/me/notifications", { body })), [], {
    onDone: (saved, values) => {
      queryClient.setQueryData(KEY, saved);
      setTurned((before) => Object.fromEntries(Object.entries(before).filter(([kind]) => !(kind in values))));
    },
    onError: () => {
      setTurned({});
      return false;
    },
  });
  const turn = (kind: (typeof KINDS)[number], isOn: boolean): void => {
    setTurned((before) => ({ ...before, [kind]: isOn }));
    save.mutate({ [kind]: isOn });
  };
  return (
    <Card
      title={t.notifications}
      actions={
        <Button size="sm" look="quiet" busy={save.isPending} onClick={() => save.mutate(Object.fromEntries(KINDS.map((kind) => [kind, null])))}>
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
                const isForAdmins = OF_ADMINS.includes(kind) && !isAdmin;
                return <Switch key={kind} label={t[kind]} hint={isForAdmins ? t.adminsOnly : undefined} disabled={isForAdmins} checked={turned[kind] ?? chosen[kind]} onChange={(event) => turn(kind, event.target.checked)} />;
              })}
            </div>
          </>
        )}
      </Loaded>
    </Card>
  );
}
