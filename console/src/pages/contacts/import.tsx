import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, FileUp } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { useChange } from "@/api/acts";
import { type Schemas, api, data, idempotencyKey } from "@/api/client";
import { asApiError } from "@/api/queries";
import { useQuery } from "@tanstack/react-query";
import { currentLanguage, useTexts } from "@/i18n";
import { MOST_FILE_BYTES } from "@/lib/files";
import { count } from "@/lib/format";
import { textOf } from "@/lib/no-list";
import { readSheet } from "@/lib/sheet";
import { Button, ButtonLink, buttonClass } from "@/ui/button";
import { FileDrop } from "@/ui/file-drop";
import { TextArea, TextField } from "@/ui/field";
import { Badge, Card, Failure, Page } from "@/ui/layout";
import { type DateOrder, type Target, dateOrderOf, faultOf, guessed } from "./columns";
import { ColumnsCard, targetWords } from "./columns-card";

type Import = Schemas["ContactImport"];
const AGAIN_MS = 1000;
/** What is read of a file to show its columns. */
const HEAD_CHARS = 200_000;
const NO_COLUMNS: { targets: Target[]; dateOrder: DateOrder } = { targets: [], dateOrder: "ymd" };

interface File_ {
  name: string;
  csv: string;
}

/** A file of contacts: first what it would do, then the import itself, with its progress. */
export function ImportContacts() {
  const t = useTexts("contacts");
  const navigate = useNavigate();
  const { job: jobId } = useSearch({ from: "/shell/contacts/import" });
  const [file, setFile] = useState<File_>({ name: "", csv: "" });
  const [region, setRegion] = useState("");
  const [fault, setFault] = useState<string>();
  const [fileFault, setFileFault] = useState<string | null>(null);
  const head = useMemo(() => readSheet(file.csv.slice(0, HEAD_CHARS)), [file.csv]);
  const [columns, setColumns] = useState(NO_COLUMNS);
  const key = useRef(idempotencyKey());
  const job = useJob(jobId);
  const start = useChange(
    (isDry: boolean) =>
      data(
        api.POST("/api/contacts/import", {
          params: { query: { dry_run: isDry, columns: columns.targets, date_order: columns.dateOrder, ...(region ? { default_region: region } : {}) }, header: { "Idempotency-Key": `${key.current}-${isDry ? "dry" : "real"}` } },
          body: file.csv,
          bodySerializer: (body) => body as string,
          headers: { "content-type": "text/csv" },
        }),
      ),
    [["contacts"]],
    {
      onDone: (made) => void navigate({ to: "/contacts/import", search: { job: made.id }, replace: true }),
      onError: (error) => {
        const found = error.details.find((each) => each.field === "default_region")?.reason;
        const ofFile = error.details.find((each) => each.field === "csv")?.reason;
        setFault(found);
        setFileFault(ofFile ?? null);
        return Boolean(found ?? ofFile);
      },
    },
  );
  const change = (next: File_): void => {
    setFile(next);
    const sheet = readSheet(next.csv.slice(0, HEAD_CHARS));
    const targets = guessed(sheet);
    setColumns({ targets, dateOrder: dateOrderOf(sheet, targets, currentLanguage() === "es" ? "dmy" : "mdy") });
    setFileFault(next.csv.trim() && sheet.rows.length === 0 && next.name ? t.noRows(next.name) : null);
    key.current = idempotencyKey();
    if (jobId) void navigate({ to: "/contacts/import", search: {}, replace: true });
  };
  const isRunning = job.data?.status === "queued" || job.data?.status === "running";
  const isPreviewed = job.data?.dry_run === true && job.data.status === "completed";
  const columnsFault = file.csv.trim() ? faultOf(columns.targets) : null;
  const off = !file.csv.trim() || head.rows.length === 0 ? t.fileFirst : columnsFault ? (columnsFault.why === "twice" ? t.columnTwice(targetWords(t, columnsFault.target)) : columnsFault.why === "noPhone" ? t.noPhoneColumn : t.tooManyColumns) : null;
  return (
    <Page title={t.importTitle} lead={t.importLead} back={{ to: "/contacts", label: t.title }}>
      <div className="grid max-w-5xl gap-4 lg:grid-cols-2">
        <Card title={t.file}>
          <div className="space-y-3">
            <FileDrop label={t.dropFile} hint={file.name || t.dropHint} accept=".csv,.tsv,.txt,text/csv" mostBytes={MOST_FILE_BYTES} fault={fileFault} onFile={async (chosen) => change({ csv: await textOf(chosen), name: chosen.name })} />
            <TextArea label={t.orPaste} isMono rows={7} placeholder={"phone,name,company\n+13175550100,Ana Ruiz,Lakeside"} value={file.csv.length > 20_000 ? "" : file.csv} hint={file.csv.length > 20_000 ? t.tooLongToShow(count(file.csv.length)) : t.columnsHint} onChange={(event) => change({ csv: event.target.value, name: "" })} />
            <div className="max-w-60">
              <TextField
                label={t.region}
                hint={t.regionHint}
                error={fault}
                value={region}
                maxLength={2}
                placeholder="US"
                onChange={(event) => {
                  setRegion(event.target.value.toUpperCase());
                  key.current = idempotencyKey();
                }}
              />
            </div>
            <div className="flex flex-wrap gap-2">
              <Button look={isPreviewed ? "plain" : "primary"} icon={FileUp} needs="contacts:write" busy={start.isPending || isRunning} off={off} onClick={() => start.mutate(true)}>
                {t.preview}
              </Button>
              <Button look={isPreviewed ? "primary" : "plain"} needs="contacts:write" busy={start.isPending || isRunning} off={off ?? (isPreviewed ? null : t.previewFirst)} onClick={() => start.mutate(false)}>
                {isPreviewed && job.data ? t.importRows(job.data.rows - job.data.bad_rows - job.data.duplicates) : t.import}
              </Button>
            </div>
          </div>
        </Card>
        <div className="grid content-start gap-4">
          {head.header.length > 0 && (
            <ColumnsCard
              sheet={head}
              columns={columns}
              onChange={(next) => {
                setColumns(next);
                key.current = idempotencyKey();
                if (jobId) void navigate({ to: "/contacts/import", search: {}, replace: true });
              }}
            />
          )}
        </div>
        <div className="grid content-start gap-4 lg:col-span-2 lg:grid-cols-2" aria-live="polite">
          {job.error && (asApiError(job.error).status === 404 ? <p className="text-dim">{t.jobGone}</p> : <Failure error={job.error} onRetry={() => void job.refetch()} />)}
          {job.data && <Progress job={job.data} />}
          {job.data && job.data.errors.length > 0 && <Errors job={job.data} />}
          {job.data && !file.csv && job.data.columns.length > 0 && <PastColumns job={job.data} />}
        </div>
      </div>
    </Page>
  );
}

function useJob(id: string | undefined) {
  return useQuery({
    queryKey: ["contacts", "import", id],
    queryFn: ({ signal }) => data(api.GET("/api/contacts/imports/{id}", { params: { path: { id: id ?? "" } }, signal })),
    enabled: Boolean(id),
    refetchInterval: ({ state }) => (state.data?.status === "queued" || state.data?.status === "running" ? AGAIN_MS : false),
  });
}

function Progress({ job }: { job: Import }) {
  const t = useTexts("contacts");
  const isRunning = job.status === "queued" || job.status === "running";
  const facts: [string, number][] = [
    [t.rows, job.rows],
    [job.dry_run ? t.wouldCreate : t.createdCount, job.created],
    [job.dry_run ? t.wouldUpdate : t.updatedCount, job.updated],
    [t.unchanged, job.unchanged],
    [t.duplicates, job.duplicates],
    [t.badRows, job.bad_rows],
  ];
  return (
    <Card title={job.dry_run ? t.whatWouldHappen : t.importing} actions={<Badge tone={job.status === "failed" ? "bad" : isRunning ? "info" : "good"} isLive={isRunning}>{t.jobStates[job.status]}</Badge>}>
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt className="text-[13px] text-dim">{label}</dt>
            <dd className={`tabular text-lg font-semibold ${label === t.badRows && value > 0 ? "text-bad" : ""}`}>{count(value)}</dd>
          </div>
        ))}
      </dl>
      {job.failure && <p className="mt-3 font-medium text-bad">{job.failure}</p>}
      {job.ignored_columns.length > 0 && (
        <p className="mt-3 text-[13px] text-warn">
          {t.ignored} {job.ignored_columns.join(", ")}
        </p>
      )}
      {job.status === "completed" && !job.dry_run && (
        <div className="mt-4">
          <ButtonLink look="primary" to="/contacts">
            {t.toContacts}
          </ButtonLink>
        </div>
      )}
      {job.status === "completed" && job.dry_run && <p className="mt-3 text-[13px] text-dim">{t.nothingYet}</p>}
    </Card>
  );
}

/** What the columns became, for who comes back and has the file no more. */
function PastColumns({ job }: { job: Import }) {
  const t = useTexts("contacts");
  return (
    <Card title={t.columns}>
      <dl className="grid grid-cols-2 gap-x-4 gap-y-1 text-[13px]">
        {job.columns.map((each, at) => (
          <div key={at} className="contents">
            <dt className="truncate font-medium">{each.title || t.columnAt(at + 1)}</dt>
            <dd className="text-dim">{targetWords(t, each.becomes)}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Errors({ job }: { job: Import }) {
  const t = useTexts("contacts");
  return (
    <Card title={t.errors(job.errors.length)} isFlush>
      <div role="region" aria-label={t.errors(job.errors.length)} tabIndex={0} className="max-h-96 overflow-auto">
        <table className="w-full text-[13px]">
          <thead className="sticky top-0 bg-surface text-left text-xs text-dim">
            <tr>
              <th className="px-4 py-2 font-medium">{t.lineOfFile}</th>
              <th className="px-2 py-2 font-medium">{t.column}</th>
              <th className="px-4 py-2 font-medium">{t.reason}</th>
            </tr>
          </thead>
          <tbody>
            {job.errors.map((each, at) => (
              <tr key={at} className="border-t border-line align-top">
                <td className="tabular px-4 py-1.5">{each.line}</td>
                <td className="px-2 py-1.5">{each.column ?? t.wholeRow}</td>
                <td className="px-4 py-1.5">{each.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {job.failed_rows > 0 && (
        <div className="border-t border-line px-4 py-3">
          <a href={`/api/contacts/imports/${job.id}/failed-rows`} download className={buttonClass("plain", "sm")}>
            <Download size={14} aria-hidden />
            {t.failedRows(job.failed_rows)}
          </a>
          <p className="mt-1 text-[13px] text-dim">{t.failedRowsHint}</p>
        </div>
      )}
    </Card>
  );
}
