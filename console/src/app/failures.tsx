/** What a person sees when a page broke. */
import { useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";

const reach = (): Promise<boolean> => fetch("/", { method: "HEAD" }).then(() => true, () => false);

/** A chunk that is gone after a deploy is fetched by loading the page anew, once; one that fails as the server can't be reached is not gone. */
export function Crashed({ error }: { error: unknown }) {
  const t = useTexts("shell");
  const router = useRouter();
  const refusal = asApiError(error);
  const isStale = refusal.code === "bug" && /module|preload/i.test(refusal.message);
  const [isReached, setReached] = useState<boolean>();
  useEffect(() => {
    if (isStale) void reach().then(setReached);
  }, [isStale]);
  if (isStale && isReached === undefined) return null;
  return (
    <div role="alert" className="grid min-h-full place-items-center p-6 text-center">
      <div className="max-w-md">
        <h1 className="text-xl">{!isStale ? t.crashed : isReached ? t.newVersion : t.noAnswer(0)}</h1>
        {!isStale && <p className="mt-2 text-dim">{refusal.message}</p>}
        {refusal.requestId && <p className="mt-1 text-xs text-dim">{t.request(refusal.requestId)}</p>}
        <button
          type="button"
          className="mt-4 rounded-control border border-line bg-surface px-3 py-2 font-medium hover:bg-hover"
          onClick={() => (isStale ? void reach().then((answers) => (answers ? location.reload() : setReached(answers))) : void router.invalidate())}
        >
          {isReached ? t.reload : t.tryAgain}
        </button>
      </div>
    </div>
  );
}
