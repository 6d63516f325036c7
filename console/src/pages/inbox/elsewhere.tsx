import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTexts } from "@/i18n";
import { Skeleton } from "@/ui/layout";
import { useElsewhere } from "./queries";
import type { InboxSearch } from "./route";

/** In place of an empty list: what the same filters find snoozed, closed, or begun by campaigns; `children` if that is nothing. */
export function Elsewhere({ search, children }: { search: InboxSearch; children: ReactNode }) {
  return search.status === undefined ? <Others search={search}>{children}</Others> : children;
}

function Others({ search, children }: { search: InboxSearch; children: ReactNode }) {
  const t = useTexts("inbox");
  const { id } = useParams({ strict: false });
  const { data, isPending } = useElsewhere(search);
  if (isPending) return <div className="p-4"><Skeleton lines={3} /></div>;
  if (!data?.length) return children;
  return (
    <div className="px-4 py-10 text-center text-dim">
      <p>{t.noneOpen}</p>
      <ul className="mt-2 space-y-1">
        {data.map(({ status, count, isMore }) => (
          <li key={status}>
            <Link to={id ? "/inbox/$id" : "/inbox"} params={{ id: id ?? "" }} search={{ ...search, status }} className="font-medium text-accent hover:underline">
              {t.elsewhere[status](count, isMore)}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
