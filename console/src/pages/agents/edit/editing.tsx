/** What is being edited: one draft for all tabs of an agent, so that it can be tried before it is saved. */
import { type ReactNode, createContext, use, useCallback, useEffect, useMemo, useState } from "react";
import { type UseFormReturn, useForm, useWatch } from "react-hook-form";
import type { FieldError } from "@/api/client";
import { ownKey, useMe } from "@/api/me";
import { asApiError, queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { stepsOf } from "@/ui/schema-form/path";
import { toast } from "@/ui/toast";
import { type Changes, type Draft, type FieldName, type Flow, type Rebased, changesOf, draftOf, isField, isSame, rebased } from "../flow";
import { flowQuery, patchFlow } from "../queries";
import { overlapsOf } from "../hours/hours";
import { type StoredDraft, baseOf, dropDraft, keepDraft, storedDraft } from "./drafts";

export interface Conflict extends Rebased {
  saved: Flow;
  /** Whether it came up when the person saved, who then goes on to save. */
  isSaving: boolean;
}

export interface Editing {
  /** The flow as it was when the editing began, or was last saved. */
  base: Flow;
  form: UseFormReturn<Draft>;
  draft: Draft;
  changes: Changes;
  isDirty: boolean;
  errors: readonly FieldError[];
  isSaving: boolean;
  save: () => void;
  discard: () => void;
  replace: (draft: Draft) => void;
  /** A newer version than `base`, which somebody else has saved. */
  newer: Flow | null;
  conflict: Conflict | null;
  compare: () => void;
  settle: (draft: Draft) => void;
  leaveConflict: () => void;
  stored: StoredDraft | null;
  restore: () => void;
  forget: () => void;
}

const Context = createContext<Editing | null>(null);

export function useEditing(): Editing {
  const found = use(Context);
  if (!found) throw new Error("only inside <EditingProvider>");
  return found;
}

/** A field whose value is one piece: objects, lists. */
export function useField<N extends FieldName>(name: N): [Draft[N], (next: Draft[N]) => void] {
  const { draft, form } = useEditing();
  const set = useCallback((next: Draft[N]) => form.setValue(name, next as never, { shouldDirty: true }), [form, name]);
  return [draft[name], set];
}

export function EditingProvider({ flow, children }: { flow: Flow; children: ReactNode }) {
  const [base, setBase] = useState(flow);
  const form = useForm<Draft>({ defaultValues: draftOf(flow) });
  const draft = useWatch({ control: form.control }) as Draft;
  const saved = useMemo(() => draftOf(base), [base]);
  const changes = useMemo(() => changesOf(saved, draft), [saved, draft]);
  const isDirty = Object.keys(changes).length > 0;
  const replace = useCallback((next: Draft) => form.reset(next, { keepDefaultValues: true }), [form]);
  const adopt = useCallback(
    (next: Flow) => {
      setBase(next);
      form.reset(draftOf(next));
    },
    [form],
  );
  // What others save is shown at once where nothing of one's own is at stake.
  useEffect(() => {
    if (flow.version > base.version && !isDirty) adopt(flow);
  }, [flow, base.version, isDirty, adopt]);

  const draftKey = ownKey(useMe(), base.id);
  const kept = useKeptDraft(draftKey, base.version, saved, changes, isDirty);
  const saving = useSaving({ base, draftKey, draft, adopt, setBase, replace });
  const discard = useCallback(() => {
    dropDraft(draftKey);
    adopt(flow.version > base.version ? flow : base);
  }, [adopt, base, draftKey, flow]);
  const errors = useMemo(() => saving.refusal.errors.filter((each) => isStill(each, saving.refusal.draft, draft)), [saving.refusal, draft]);
  const { stored, forget } = kept;
  const value: Editing = {
    base,
    form,
    draft,
    changes,
    isDirty,
    errors,
    isSaving: saving.isSaving,
    save: saving.save,
    discard,
    replace,
    newer: flow.version > base.version ? flow : null,
    conflict: saving.conflict,
    compare: () => saving.compare(flow),
    settle: saving.settle,
    leaveConflict: saving.leaveConflict,
    stored,
    restore: () => {
      if (!stored) return;
      replace(rebased(baseOf(stored, saved), { ...saved, ...stored.changes }, saved).draft);
      forget();
    },
    forget: () => {
      dropDraft(draftKey);
      forget();
    },
  };
  return <Context value={value}>{children}</Context>;
}

/** A refusal stands until what it refused is changed. */
function isStill(error: FieldError, refused: Draft | null, draft: Draft): boolean {
  const name = String(stepsOf(error.field)[0] ?? "");
  return !isField(name) || !refused || isSame(refused[name], draft[name]);
}

function useKeptDraft(key: string, version: number, saved: Draft, changes: Changes, isDirty: boolean): { stored: StoredDraft | null; forget: () => void } {
  const [stored, setStored] = useState(() => storedDraft(key, saved));
  const [wasDirty, setWasDirty] = useState(false);
  useEffect(() => {
    if (isDirty) {
      keepDraft(key, version, saved, changes);
      setWasDirty(true);
    } else if (wasDirty) {
      dropDraft(key);
      setWasDirty(false);
    }
  }, [key, version, saved, changes, isDirty, wasDirty]);
  // Another tab may have saved the draft or dropped it; what was saved since may be all of it.
  useEffect(() => {
    const check = (): void => setStored((shown) => shown && storedDraft(key, saved));
    check();
    window.addEventListener("storage", check);
    return () => window.removeEventListener("storage", check);
  }, [key, saved]);
  return { stored: isDirty ? null : stored, forget: useCallback(() => setStored(null), []) };
}

interface SavingOf {
  base: Flow;
  draftKey: string;
  draft: Draft;
  adopt: (flow: Flow) => void;
  setBase: (flow: Flow) => void;
  replace: (draft: Draft) => void;
}

function useSaving({ base, draftKey, draft, adopt, setBase, replace }: SavingOf) {
  const t = useTexts("agents");
  const form = useTexts("agentForm");
  const [isSaving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<{ errors: readonly FieldError[]; draft: Draft | null }>({ errors: [], draft: null });
  const [conflict, setConflict] = useState<Conflict | null>(null);

  const send = async (from: Flow, wanted: Draft): Promise<void> => {
    const changes = changesOf(draftOf(from), wanted);
    const saved = Object.keys(changes).length > 0 ? await patchFlow(from, changes) : from;
    queryClient.setQueryData(["flows", saved.id], saved);
    void queryClient.invalidateQueries({ queryKey: ["flows"] });
    dropDraft(draftKey);
    adopt(saved);
    setRefusal({ errors: [], draft: null });
    toast.done(t.savedAs(saved.version));
  };
  /** Nobody's version is saved over: what others have saved since is shown first. */
  const meet = async (from: Flow, wanted: Draft): Promise<void> => {
    const latest = await queryClient.fetchQuery({ ...flowQuery(from.id), staleTime: 0 });
    setConflict({ saved: latest, isSaving: true, ...rebased(draftOf(from), wanted, draftOf(latest)) });
  };
  const attempt = async (from: Flow, wanted: Draft): Promise<void> => {
    const overlaps = overlapsOf(wanted.business_hours_json).map((field) => ({ field, reason: form.hours.overlap }));
    if (overlaps.length > 0) {
      setRefusal({ errors: overlaps, draft: wanted });
      return showFirst();
    }
    setSaving(true);
    try {
      await send(from, wanted).catch((error: unknown) => {
        if (asApiError(error).code !== "conflict") throw error;
        return meet(from, wanted);
      });
    } catch (error) {
      const refused = asApiError(error);
      setRefusal({ errors: refused.details, draft: wanted });
      if (refused.details.length > 0) showFirst();
      else toast.refusal(refused);
    } finally {
      setSaving(false);
    }
  };
  return {
    isSaving,
    refusal,
    conflict,
    save: () => void attempt(base, draft),
    compare: (newer: Flow) => setConflict({ saved: newer, isSaving: false, ...rebased(draftOf(base), draft, draftOf(newer)) }),
    leaveConflict: () => setConflict(null),
    settle: (settled: Draft) => {
      if (!conflict) return;
      setConflict(null);
      setBase(conflict.saved);
      replace(settled);
      if (conflict.isSaving) void attempt(conflict.saved, settled);
    },
  };
}

/** Bring the first field that was refused into sight. */
function showFirst(): void {
  setTimeout(() => {
    // Some fields are there twice: for wide windows, and for phones.
    const field = [...document.querySelectorAll<HTMLElement>('[aria-invalid="true"]')].find((each) => each.offsetParent !== null);
    field?.scrollIntoView({ block: "center" });
    field?.focus({ preventScroll: true });
  }, 50);
}
