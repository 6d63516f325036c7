import { useQuery } from "@tanstack/react-query";
import { Moon, TriangleAlert } from "lucide-react";
import { api, data } from "@/api/client";
import { useCan, useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { clockIn, count, money, phone } from "@/lib/format";
import { exactTime } from "@/lib/zoned";
import { Button } from "@/ui/button";
import { Card, Failure, Skeleton } from "@/ui/layout";
import type { Campaign, Forecast } from "./queries";

/** What a launch would do, as things are now. */
export function useForecast({ id, counts, status, body_template, quiet_hours }: Campaign) {
  const mayAsk = useCan("campaigns:write");
  return useQuery({
    // Not under "campaigns": news of a launch would ask what a launch would do, which is refused then.
    queryKey: ["forecast", id, counts.total, status, body_template, quiet_hours.join()],
    queryFn: ({ signal }) => data(api.GET("/api/sms/campaigns/{id}/forecast", { params: { path: { id } }, signal })),
    enabled: mayAsk && counts.total > 0,
    staleTime: 60_000,
    retry: false,
  });
}

/** Shows it; nothing is sent by looking. */
export function ForecastCard({ campaign }: { campaign: Campaign }) {
  const t = useTexts("campaigns");
  const { counts } = campaign;
  const query = useForecast(campaign);
  if (!useCan("campaigns:write")) return null;
  return (
    <Card
      title={t.forecast}
      actions={
        <Button size="sm" busy={query.isFetching} off={counts.total > 0 ? null : t.recipientsFirst} onClick={() => void query.refetch()}>
          {t.again}
        </Button>
      }
    >
      {counts.total === 0 ? (
        <p className="text-dim">{t.recipientsFirst}</p>
      ) : query.data ? (
        <Shown forecast={query.data} />
      ) : query.error ? (
        <Failure error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <Skeleton lines={4} />
      )}
    </Card>
  );
}

function Shown({ forecast }: { forecast: Forecast }) {
  const t = useTexts("campaigns");
  const zone = useZone();
  const facts: [string, string][] = [
    [t.wouldBeTexted, count(forecast.recipients)],
    [forecast.segments_estimated ? t.segmentsAbout : t.segmentsTitle, count(Number(forecast.segments))],
    [t.cost, forecast.cost && forecast.cost_currency ? money(Math.round(Number(forecast.cost) * 1_000_000), forecast.cost_currency) : t.costUnknown],
    [t.finishes, forecast.finishes_at ? exactTime(forecast.finishes_at, zone) : t.never],
  ];
  const notes = [
    [forecast.opted_out, t.notes.optedOut],
    [forecast.blocked, t.notes.blocked],
    [forecast.invalid, t.notes.invalid],
    [forecast.unreachable, t.notes.unreachable],
    [forecast.duplicates, t.notes.duplicates],
    [forecast.deferred, t.notes.deferred],
    [forecast.landlines, t.notes.landlines],
    [forecast.unsendable, t.notes.unsendable],
  ] as const;
  return (
    <div className="space-y-4">
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-[13px] text-dim">{label}</dt>
            <dd className="tabular text-base font-semibold">{value}</dd>
          </div>
        ))}
      </dl>
      <Clocks forecast={forecast} />
      {notes.some(([number]) => number > 0) && (
        <ul className="space-y-1 text-[13px]">
          {notes.map(
            ([number, say]) =>
              number > 0 && (
                <li key={say(number)} className="flex items-center gap-2">
                  <TriangleAlert size={14} aria-hidden className={`shrink-0 ${say === t.notes.unsendable ? "text-bad" : "text-warn"}`} />
                  {say(number)}
                </li>
              ),
          )}
        </ul>
      )}
      <Hours forecast={forecast} />
      {forecast.samples.length > 0 && (
        <section aria-label={t.samples}>
          <h3 className="mb-2 text-[13px]">{t.samples}</h3>
          <ul className="space-y-2">
            {forecast.samples.map((each, at) => (
              <li key={at} className="rounded-control border border-line px-3 py-2">
                <span className="flex justify-between gap-2 text-xs text-dim">
                  <span className="tabular">{phone(each.contact_e164)}</span>
                  {t.segments(each.segments)}
                </span>
                <span className="mt-0.5 block whitespace-pre-wrap">{each.body}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

/** What time it is where the recipients are, and how many would be texted at night. */
export function Clocks({ forecast }: { forecast: Forecast }) {
  const t = useTexts("campaigns");
  return (
    <div className="space-y-1 text-[13px]">
      {forecast.at_night > 0 && (
        <p role="alert" className="flex items-center gap-2 rounded-control bg-bad-soft px-3 py-2 font-medium text-bad">
          <Moon size={14} aria-hidden className="shrink-0" />
          {t.atNight(forecast.at_night)}
        </p>
      )}
      <ul className="flex flex-wrap gap-x-4 gap-y-1">
        {forecast.zones.map((zone) => (
          <li key={`${zone.time_zone} ${zone.is_day}`} className={zone.is_day ? "text-dim" : "font-medium text-warn"}>
            {t.clockThere(clockOf(zone.local_time), placeOf(zone.time_zone), zone.recipients)}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** `02:12` as people there read it. */
function clockOf(time: string): string {
  return clockIn(new Date(`2026-01-01T${time}:00Z`), "UTC");
}

/** `America/Indiana/Indianapolis` → `Indianapolis`. */
function placeOf(zone: string): string {
  return (zone.split("/").at(-1) ?? zone).replaceAll("_", " ");
}

const MOST_BARS = 48;

/** How many would be texted in which hour; only where it takes more than one. */
function Hours({ forecast }: { forecast: Forecast }) {
  const t = useTexts("campaigns");
  const zone = useZone();
  const hours = forecast.hours.slice(0, MOST_BARS);
  const [first, last] = [hours[0], hours.at(-1)];
  if (!first || !last || hours.length < 2) return null;
  const most = Math.max(...hours.map((each) => each.recipients));
  return (
    <figure>
      <div role="img" aria-label={t.hoursLabel(exactTime(first.at ?? "", zone), exactTime(last.at ?? "", zone))} className="flex h-16 items-end gap-px">
        {hours.map((each, at) => (
          <span key={at} title={`${exactTime(each.at ?? "", zone)}: ${count(each.recipients)}`} className="min-w-px flex-1 rounded-t-sm bg-accent" style={{ height: `${Math.max(2, (each.recipients / most) * 100)}%` }} />
        ))}
      </div>
      <figcaption className="tabular mt-1 flex justify-between text-xs text-dim">
        <span>{exactTime(first.at ?? "", zone)}</span>
        <span>{exactTime(last.at ?? "", zone)}</span>
      </figcaption>
    </figure>
  );
}
