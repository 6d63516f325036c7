import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, data } from "@/api/client";
import { useTexts } from "@/i18n";
import { count, money } from "@/lib/format";
import { segmentsOf } from "@/lib/segments";

const REST_MS = 600;

/** What the text takes at each key press, and what it would cost once the typing rests. */
export function Counter({ body, conversationId }: { body: string; conversationId: string }) {
  const t = useTexts("inbox");
  const cost = useCost(body.trim(), conversationId);
  if (body.trim() === "") return <span className="flex-1 text-right text-xs text-dim max-md:hidden">{t.sendKeys}</span>;
  const { encoding, segments, used, room, unusual } = segmentsOf(body.trim());
  return (
    <p className="tabular min-w-0 flex-1 text-right text-xs text-dim">
      {unusual.length > 0 && (
        <span className="text-warn" title={t.unusualLead}>
          {t.unusual(unusual.slice(0, 6).join(" "))}{" "}
        </span>
      )}
      <span title={t.encodings[encoding]}>{encoding === "gsm_7" ? "GSM-7" : "UCS-2"}</span> · {t.charsOf(count(used), count(room))} · {t.segments(segments)}
      {cost && <> · {t.costAbout(cost)}</>}
    </p>
  );
}

function useCost(body: string, conversationId: string): string | null {
  const [rested, setRested] = useState(body);
  useEffect(() => {
    const timer = setTimeout(() => setRested(body), REST_MS);
    return () => clearTimeout(timer);
  }, [body]);
  const { data: preview } = useQuery({
    queryKey: ["preview", conversationId, rested],
    queryFn: ({ signal }) => data(api.POST("/api/sms/preview", { body: { body: rested, conversation_id: conversationId }, signal })),
    enabled: rested !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 30_000,
    retry: false,
  });
  if (!preview?.cost) return null;
  return money(Math.round(Number(preview.cost.amount) * 1_000_000), preview.cost.currency);
}
