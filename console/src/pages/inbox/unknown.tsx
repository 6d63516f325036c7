import { Link } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import { api, data } from "@/api/client";
import { useList } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { Card, Empty, Failure, Page, Skeleton, Time } from "@/ui/layout";
import { Resolve } from "./message-dialog";
import { Whom } from "./scheduled";

/** Texts of which nobody knows whether the carrier has them: a person decides about each. */
export function Unknown() {
  const t = useTexts("inbox");
  const query = useList(
    ["conversations", "unknown", "all"],
    (cursor, signal) => data(api.GET("/api/sms/unknown", { params: { query: { limit: 50, ...(cursor ? { cursor } : {}) } }, signal })),
    (page) => page.messages,
  );
  return (
    <Page title={t.unknown.title} lead={t.unknown.lead} back={{ to: "/inbox", label: t.title }}>
      {query.isPending && <Skeleton lines={6} height="h-8" />}
      {query.error && query.rows.length === 0 && <Failure error={query.error} onRetry={() => void query.refetch()} />}
      {query.data && query.rows.length === 0 && (
        <Empty icon={CircleCheck} title={t.unknown.empty}>
          {t.unknown.emptyLead}
        </Empty>
      )}
      <ul className="grid max-w-3xl gap-4">
        {query.rows.map((each) => (
          <li key={each.id}>
            <Card
              title={
                <Link to="/inbox/$id" params={{ id: each.conversation_id }} className="hover:underline">
                  <Whom id={each.conversation_id} />
                </Link>
              }
              actions={<span className="text-[13px] text-dim"><Time at={each.created_at} /></span>}
            >
              <p className="mb-3 rounded-control bg-sunken px-3 py-2 whitespace-pre-wrap">{each.body || t.media}</p>
              <Resolve message={each} />
            </Card>
          </li>
        ))}
      </ul>
      {query.hasNextPage && (
        <div className="mt-4">
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {t.loadMore}
          </Button>
        </div>
      )}
    </Page>
  );
}
