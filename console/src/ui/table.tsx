/** Lists of any length: a hundred thousand rows scroll without a stutter, since only those in sight are in the page. */
import { Link, type LinkProps } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, memo, useEffect, useRef } from "react";
import { type Held, jumpTo } from "@/api/jump";
import { useTexts } from "@/i18n";
import { Failure, Skeleton } from "./layout";

export interface Column<R> {
  key: string;
  title: string;
  /** Stands in the place of the title. */
  head?: ReactNode;
  /** A control beside what the row is: the next cell is the link. */
  isControl?: boolean;
  /** A CSS grid track: `8rem`, `minmax(10rem, 2fr)`. */
  width: string;
  /** The same on a phone's screen, where that is another one. */
  narrowWidth?: string;
  /** Left out on a phone's screen. */
  isWide?: boolean;
  isRight?: boolean;
  cell: (row: R) => ReactNode;
}

interface ListQuery<R> {
  rows: R[];
  error: unknown;
  isPending: boolean;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
  /** Which row of the list `rows` begins with, and how to get those before it. */
  offset?: number;
  hasPreviousPage?: boolean;
  isFetchingPreviousPage?: boolean;
  fetchPreviousPage?: () => unknown;
  /** Where they come from. */
  from?: Held;
}

export interface TableProps<R> {
  label: string;
  query: ListQuery<R>;
  columns: readonly Column<R>[];
  /** Where a row leads; its first cell that is no control is the link. */
  link?: (row: R) => LinkProps;
  empty: ReactNode;
  rowPx?: number;
  isChosen?: (row: R) => boolean;
}

/** Rows by pages of the API, as a table that fills its parent and asks for more as it is scrolled. */
export function Table<R extends { id: string }>({ label, query, columns, link, empty, rowPx = 44, isChosen }: TableProps<R>) {
  const t = useTexts("shell");
  const scroller = useRef<HTMLDivElement>(null);
  const { rows, hasNextPage, offset = 0 } = query;
  const end = offset + rows.length;
  // Rows are all of one height, and so need no keys here: with keys, each step would go through all rows that there are.
  const rowsInView = useVirtualizer({ count: end, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 12 });
  const items = rowsInView.getVirtualItems();
  useMoreRows(query, items.at(0)?.index ?? 0, items.at(-1)?.index ?? 0);

  if (query.error && rows.length === 0) return <div className="px-6 max-md:px-4"><Failure error={query.error} onRetry={() => void query.refetch()} /></div>;
  if (query.isPending) return <div className="px-6 py-2 max-md:px-4"><Skeleton lines={10} height="h-7" /></div>;
  if (rows.length === 0) return empty;
  const tracks = columns.map((column) => column.width).join(" ");
  const narrow = columns.filter((column) => !column.isWide).map((column) => column.narrowWidth ?? column.width).join(" ");
  const style = { "--wide": tracks, "--narrow": narrow } as React.CSSProperties;
  return (
    <div ref={scroller} role="region" aria-label={label} tabIndex={0} data-quiet-focus className="min-h-0 flex-1 overflow-auto border-t border-line bg-surface" style={style}>
      <div role="table" aria-label={label} aria-rowcount={hasNextPage ? -1 : end + 1}>
        <div role="rowgroup" className="sticky top-0 z-10 bg-surface">
          <div role="row" aria-rowindex={1} className={`${ROW} border-b border-line text-xs font-medium text-dim`} style={{ height: 34 }}>
            {columns.map((column) => (
              <div key={column.key} role="columnheader" className={cellClass(column)}>
                {(column.head ?? column.title) || <span className="sr-only">{t.actions}</span>}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className="relative" style={{ height: rowsInView.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index - offset];
            if (!row) return <RowToCome key={item.key} top={item.start} height={rowPx} />;
            return <TableRow key={row.id} row={row} at={item.index} top={item.start} rowPx={rowPx} columns={columns} link={link} isChosen={isChosen?.(row) ?? false} />;
          })}
        </div>
      </div>
      <More isMore={hasNextPage} isFetching={query.isFetchingNextPage} />
    </div>
  );
}

interface RowProps<R> {
  row: R;
  at: number;
  top: number;
  rowPx: number;
  columns: readonly Column<R>[];
  link: ((row: R) => LinkProps) | undefined;
  isChosen: boolean;
}

/** Rendered once, wherever the list is scrolled to meanwhile: links are dear. */
const TableRow = memo(function TableRow<R extends { id: string }>({ row, at, top, rowPx, columns, link, isChosen }: RowProps<R>) {
  const linked = columns.findIndex((column) => !column.isControl);
  return (
    <div role="row" aria-rowindex={at + 2} aria-selected={isChosen} className={`${ROW} absolute inset-x-0 border-b border-line [contain:strict] ${isChosen ? "bg-accent-soft" : "hover:bg-hover"}`} style={{ height: rowPx, transform: `translateY(${top}px)` }}>
      {columns.map((column, nth) => (
        <div key={column.key} role="cell" className={cellClass(column)}>
          {nth === linked && link ? (
            <Link {...link(row)} className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-offset-[-2px]">
              {column.cell(row)}
            </Link>
          ) : (
            column.cell(row)
          )}
        </div>
      ))}
    </div>
  );
}) as <R extends { id: string }>(props: RowProps<R>) => ReactNode;

/** Ask for the pages beside what is shown: the next one, or one that was dropped on the way down. */
function useMoreRows<R>(query: ListQuery<R>, firstShown: number, lastShown: number): void {
  const { rows, offset = 0, hasNextPage, isFetchingNextPage, fetchNextPage, hasPreviousPage, isFetchingPreviousPage, fetchPreviousPage } = query;
  const held = useRef(query.from);
  useEffect(() => {
    held.current = query.from;
  });
  useEffect(() => {
    if (hasPreviousPage && lastShown < offset - FAR && held.current) {
      void jumpTo(firstShown, held.current);
      return;
    }
    if (isFetchingNextPage || isFetchingPreviousPage) return;
    if (hasPreviousPage && firstShown < offset + AHEAD) void fetchPreviousPage?.();
    else if (hasNextPage && lastShown >= offset + rows.length - AHEAD) void fetchNextPage();
  }, [firstShown, lastShown, offset, rows.length, hasNextPage, isFetchingNextPage, fetchNextPage, hasPreviousPage, isFetchingPreviousPage, fetchPreviousPage]);
}

const AHEAD = 25;
/** So many rows above those that are held, the pages between are left out. */
const FAR = 200;

function RowToCome({ top, height }: { top: number; height: number }) {
  return (
    <div aria-hidden className="absolute inset-x-0 border-b border-line px-6 py-3 max-md:px-4" style={{ height, transform: `translateY(${top}px)` }}>
      <div className="h-full w-2/3 rounded bg-sunken" />
    </div>
  );
}

const ROW = "grid grid-cols-(--narrow) items-center gap-x-3 px-6 max-md:px-4 md:grid-cols-(--wide)";

function cellClass<R>(column: Column<R>): string {
  return `min-w-0 truncate ${column.isWide ? "max-md:hidden" : ""} ${column.isRight ? "text-right tabular" : ""}`;
}

function More({ isMore, isFetching }: { isMore: boolean; isFetching: boolean }) {
  const t = useTexts("shell");
  if (!isMore && !isFetching) return null;
  return <p className="px-6 py-3 text-center text-xs text-dim">{t.loadingMore}</p>;
}
