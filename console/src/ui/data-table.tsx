/** A plain table of figures: few rows, the first column names them, the others are numbers. */
import type { ReactNode } from "react";

export function DataTable({ label, head, rows }: { label: string; head: readonly string[]; rows: readonly (readonly ReactNode[])[] }) {
  return (
    <div role="region" aria-label={label} tabIndex={0} data-quiet-focus className="relative max-h-96 overflow-auto">
      <table className="w-full text-[13px]">
        <thead className="sticky top-0 bg-surface">
          <tr className="border-b border-line text-xs text-dim">
            {head.map((name, at) => (
              <th key={at} scope="col" className={`px-4 py-2 font-medium whitespace-nowrap ${at === 0 ? "text-left" : "text-right"}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at} className="border-b border-line last:border-b-0 hover:bg-hover">
              {row.map((value, column) =>
                column === 0 ? (
                  <th key={column} scope="row" className="px-4 py-1.5 text-left font-normal">
                    {value}
                  </th>
                ) : (
                  <td key={column} className="tabular px-4 py-1.5 text-right whitespace-nowrap">
                    {value}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
