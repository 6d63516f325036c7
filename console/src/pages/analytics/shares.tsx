import { useTexts } from "@/i18n";
import { clockTime, count, percent } from "@/lib/format";
import { wholePercents } from "@/lib/shares";
import { Bar } from "@/ui/figure";
import { Card } from "@/ui/layout";

export interface Share {
  key: string;
  name: string;
  calls: number;
  answered: number;
  talk_seconds: number;
}

/** Groups of calls, most first, each with its share as a bar. */
export function Shares({ title, shares, total }: { title: string; shares: Share[]; total: number }) {
  const t = useTexts("analytics");
  const percents = wholePercents(shares.map((each) => each.calls), total);
  return (
    <Card title={title} isFlush>
      <div role="region" aria-label={title} tabIndex={0} data-quiet-focus className="relative max-h-80 overflow-auto">
        <table className="w-full text-[13px]">
          <thead className="sticky top-0 bg-surface text-xs text-dim">
            <tr className="border-b border-line">
              <th scope="col" className="px-4 py-2 text-left font-medium"><span className="sr-only">{title}</span></th>
              {[t.calls, t.share, t.answered, t.average].map((name) => (
                <th key={name} scope="col" className="px-3 py-2 text-right font-medium last:pr-4">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shares.map((each, at) => (
              <tr key={each.key} className="border-b border-line last:border-b-0 hover:bg-hover">
                <th scope="row" className="w-1/2 px-4 py-2 text-left font-normal">
                  <span className="mb-1 block">{each.name}</span>
                  <Bar share={total ? each.calls / total : 0} />
                </th>
                <td className="tabular px-3 text-right">{count(each.calls)}</td>
                <td className="tabular px-3 text-right">{total ? percent((percents[at] ?? 0) / 100) : "–"}</td>
                <td className="tabular px-3 text-right">{each.calls ? percent(each.answered / each.calls) : "–"}</td>
                <td className="tabular px-3 pr-4 text-right">{each.answered ? clockTime(Math.round(each.talk_seconds / each.answered)) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
