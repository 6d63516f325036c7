/** What is said above every page while it lasts: that the connection is lost, that this is practice. */
import { Suspense } from "react";
import { useMe } from "@/api/me";
import { loadTexts } from "@/i18n";
import { part } from "@/ui/part";
import { LiveLink } from "./live-link";

const Limited = part(() => import("./limited"));
const StandIns = part(() => import("./stand-ins"));

const Notifier = part(async () => {
  const [notifier] = await Promise.all([import("./notices/notifier"), loadTexts("account")]);
  return notifier;
});

export default function Banners() {
  const { stand_ins: standIns, limited } = useMe();
  return (
    <>
      <LiveLink />
      <Suspense>
        <Notifier />
      </Suspense>
      {limited && (
        <Suspense>
          <Limited />
        </Suspense>
      )}
      {standIns.length > 0 && (
        <Suspense>
          <StandIns of={standIns} />
        </Suspense>
      )}
    </>
  );
}
