/** Tells whoever is signed in what waits for a person: by the tab's title always, on the desktop and by a sound if they chose so. */
import { useRouter } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo } from "react";
import { api, data } from "@/api/client";
import { type News, useNews } from "@/api/live";
import { can, useMe } from "@/api/me";
import { queryClient } from "@/api/queries";
import { useTexts } from "@/i18n";
import { phone } from "@/lib/format";
import { usePendingApprovals, useUnheardVoicemails, useUnreadTexts } from "../waiting";
import { choiceOf, useChoice } from "./choice";
import { type Notice, Notices, counted, isShownAt } from "./notices";
import { claim, claimDelay } from "./told";
import { allowTone, playTone } from "./tone";

/** After a break much may be told at once; the title counts the rest. */
const MOST_AT_ONCE = 5;
const AT_ONCE_MS = 10_000;
const NUMBERS_FRESH_MS = 300_000;

export default function Notifier() {
  useTitle();
  useNotices();
  useSound();
  return null;
}

/** Pages set their title as before; the count is put before it each time. */
function useTitle(): void {
  const texts = useUnreadTexts();
  const count = (texts?.mine.conversations ?? 0) + (texts?.unassigned.conversations ?? 0) + (useUnheardVoicemails() ?? 0) + (usePendingApprovals() ?? 0);
  useEffect(() => {
    const show = (): void => {
      const title = counted(document.title, count);
      if (document.title !== title) document.title = title;
    };
    show();
    const observer = new MutationObserver(show);
    observer.observe(document.head, { childList: true, characterData: true, subtree: true });
    return () => observer.disconnect();
  }, [count]);
}

function useNotices(): void {
  const me = useMe();
  const show = useShow();
  const recent = useMemo<number[]>(() => [], []);
  const isNumbersReader = can(me, "numbers:read");
  const id = me.user?.id;
  const notices = useMemo(() => new Notices({ id, isAnswered: isNumbersReader ? isAnswered : () => Promise.resolve(false) }), [id, isNumbersReader]);
  useNews(
    useCallback(
      (news: News) => {
        const choice = choiceOf(me);
        if (!choice.desktop && !choice.sound) return;
        const tell = async (): Promise<void> => {
          const notice = await notices.of(news);
          if (!notice || !choice.kinds[notice.kind]) return;
          const isShown = document.visibilityState === "visible" && document.hasFocus() && isShownAt(location.pathname, notice);
          await new Promise((resolve) => setTimeout(resolve, claimDelay(isShown, navigator.userActivation?.hasBeenActive ?? true)));
          if (!(await claim(notice.key)) || isShown || isMuch(recent)) return;
          if (choice.sound) playTone();
          if (choice.desktop) show(notice, choice.words);
        };
        void tell();
      },
      [me, notices, show, recent],
    ),
  );
}

/** Whether more was told in the last seconds than one can look at; counts this one. */
function isMuch(recent: number[]): boolean {
  const now = Date.now();
  recent.splice(0, recent.length, ...recent.filter((at) => now - at < AT_ONCE_MS), now);
  return recent.length > MOST_AT_ONCE;
}

/** A text of which that is not known waits for a person. */
async function isAnswered(number: string | null): Promise<boolean> {
  try {
    const page = await queryClient.fetchQuery({
      queryKey: ["numbers", "all"],
      queryFn: ({ signal }) => data(api.GET("/api/numbers", { params: { query: { limit: 200 } }, signal })),
      staleTime: NUMBERS_FRESH_MS,
    });
    return Boolean(page.numbers.find((each) => each.id === number)?.sms_flow_id);
  } catch {
    return false;
  }
}

function useShow(): (notice: Notice, isWithWords: boolean) => void {
  const t = useTexts("account");
  const router = useRouter();
  return useCallback(
    ({ kind, key, who, words, to }, isWithWords) => {
      if (!("Notification" in window) || Notification.permission !== "granted") return;
      const name = who && ("name" in who ? who.name : phone(who.number));
      try {
        const shown = new Notification([t.noticeTitles[kind], name].filter(Boolean).join(" · "), { body: (isWithWords && words) || "", tag: `hum-${key}`, icon: "/icon.svg", silent: true });
        shown.addEventListener("click", () => {
          window.focus();
          shown.close();
          void router.navigate({ href: to });
        });
      } catch {
        // Chrome for Android shows none that a page makes
      }
    },
    [t, router],
  );
}

/** The first click in a tab lets it sound later. */
function useSound(): void {
  const { sound } = useChoice(useMe());
  useEffect(() => {
    if (!sound) return undefined;
    const options = { once: true, capture: true } as const;
    addEventListener("pointerdown", allowTone, options);
    addEventListener("keydown", allowTone, options);
    return () => {
      removeEventListener("pointerdown", allowTone, options);
      removeEventListener("keydown", allowTone, options);
    };
  }, [sound]);
}
