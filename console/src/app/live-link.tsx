/** The connection that keeps what is shown up to date, and the word that it is lost. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { useLink, useLive } from "@/api/live";
import { useMe } from "@/api/me";
import { onMoved } from "@/api/moves";
import { shown } from "@/api/organization";
import { useTexts } from "@/i18n";

/** Whether the browser has a network at all; what it knows at once, while a lost connection takes a while to be noticed. */
function useIsOnline(): boolean {
  return useSyncExternalStore(
    (watcher) => {
      addEventListener("online", watcher);
      addEventListener("offline", watcher);
      return () => {
        removeEventListener("online", watcher);
        removeEventListener("offline", watcher);
      };
    },
    () => navigator.onLine,
  );
}

/** Told only while it lasts: nothing on the page is newer than this. */
export function LiveLink() {
  const t = useTexts("banners");
  const link = useLink();
  useLive();
  useOrganization();
  const isOnline = useIsOnline();
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (link !== "lost") {
      setLong(false);
      return undefined;
    }
    const timer = setTimeout(() => setLong(true), 2500);
    return () => clearTimeout(timer);
  }, [link]);
  if (isOnline && !isLong) return null;
  return (
    <p role="status" className="bg-warn-soft px-6 py-1.5 text-[13px] font-medium text-warn max-md:px-4 print:hidden">
      {isOnline ? t.linkLost : t.offline}
    </p>
  );
}

/** What this page shows is of the organization that one was in when it was opened. */
function useOrganization(): void {
  const id = useMe().organization?.id;
  useEffect(() => {
    shown.organization = id;
  }, [id]);
  useEffect(() => onMoved(() => location.assign("/")), []); // what its path names belongs to that one, too
}
