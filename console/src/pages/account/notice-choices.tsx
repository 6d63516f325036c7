import { useEffect, useState } from "react";
import { useMe } from "@/api/me";
import { KINDS, choose, useChoice } from "@/app/notices/choice";
import { playTone } from "@/app/notices/tone";
import { useTexts } from "@/i18n";
import { Switch } from "@/ui/field";
import { Card } from "@/ui/layout";

type Permission = NotificationPermission | "none";

function permission(): Permission {
  return "Notification" in window ? Notification.permission : "none";
}

/** Of what this browser tells one while the console is open in it. The browser is asked only by a click. */
export function NoticeChoices() {
  const t = useTexts("account");
  const me = useMe();
  const choice = useChoice(me);
  const [allowed, setAllowed] = useState(permission);
  useEffect(() => {
    const look = (): void => setAllowed(permission());
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  const wantDesktop = async (isWanted: boolean): Promise<void> => {
    const given = isWanted && permission() === "default" ? await Notification.requestPermission() : permission();
    setAllowed(given);
    choose(me, { desktop: isWanted && given === "granted" });
  };
  const isOff = !choice.desktop && !choice.sound;
  return (
    <Card title={t.notices}>
      <p className="text-dim">{t.noticesLead}</p>
      <div className="mt-2">
        <Switch label={t.desktop} hint={t.permissions[allowed]} disabled={allowed === "none" || (allowed === "denied" && !choice.desktop)} checked={choice.desktop && allowed === "granted"} onChange={(event) => void wantDesktop(event.target.checked)} />
        <Switch label={t.words} hint={t.wordsHint} disabled={!choice.desktop} checked={choice.words} onChange={(event) => choose(me, { words: event.target.checked })} />
        <Switch
          label={t.sound}
          hint={t.soundHint}
          checked={choice.sound}
          onChange={(event) => {
            choose(me, { sound: event.target.checked });
            if (event.target.checked) playTone();
          }}
        />
      </div>
      <fieldset className="mt-3 border-t border-line pt-3" disabled={isOff}>
        <legend className="sr-only">{t.noticeKinds}</legend>
        <p className="font-medium">{t.noticeKinds}</p>
        {KINDS.map((kind) => (
          <Switch key={kind} label={t.kinds[kind]} checked={choice.kinds[kind]} onChange={(event) => choose(me, { kinds: { ...choice.kinds, [kind]: event.target.checked } })} />
        ))}
      </fieldset>
    </Card>
  );
}
