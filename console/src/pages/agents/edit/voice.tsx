import { Play, Square } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { api, data } from "@/api/client";
import { asApiError } from "@/api/queries";
import { useTexts } from "@/i18n";
import { Button } from "@/ui/button";
import { SelectField } from "@/ui/field";
import { toast } from "@/ui/toast";
import { useVoices } from "../queries";
import { useEditing, useField } from "./editing";
import { useIsOff, useLook } from "./plain-fields";

const MOST_CHARS = 300;

/** The voice, and how it says the greeting. */
export function VoiceField() {
  const t = useTexts("agentForm");
  const [value, setValue] = useField("voice");
  const { draft } = useEditing();
  const voices = useVoices().data ?? [];
  const player = usePlayer();
  const standard = voices.find((each) => each.is_default)?.name;
  const names = voices.map((each) => each.name);
  const choices = [
    { value: "", label: standard ? t.defaultVoice(standard) : "…" },
    ...names.map((name) => ({ value: name, label: name })),
    ...(value && !names.includes(value) ? [{ value, label: value }] : []),
  ];
  const sentence = (draft.greeting ?? "").trim() || t.sample;
  return (
    <div className="flex items-start gap-2">
      <div className="min-w-0 flex-1">
        <SelectField {...useLook("voice")} choices={choices} value={value ?? ""} disabled={useIsOff()} onChange={(event) => setValue(event.target.value || null)} />
      </div>
      <div className="pt-6">
        <Button icon={player.isPlaying ? Square : Play} needs="flows:write" busy={player.isLoading} onClick={() => (player.isPlaying ? player.stop() : player.play(sentence.slice(0, MOST_CHARS), value))}>
          {player.isPlaying ? t.stop : t.play}
        </Button>
      </div>
    </div>
  );
}

/** Sentences as callers would hear them; one at a time. */
function usePlayer() {
  const [state, setState] = useState<"idle" | "loading" | "playing">("idle");
  const audio = useRef<HTMLAudioElement>(null);
  const wanted = useRef(0);
  const stop = (): void => {
    wanted.current += 1;
    audio.current?.pause();
    if (audio.current) URL.revokeObjectURL(audio.current.src);
    audio.current = null;
    setState("idle");
  };
  useEffect(
    () => () => {
      wanted.current += 1;
      audio.current?.pause();
    },
    [],
  );
  const play = async (text: string, voice: string | null): Promise<void> => {
    stop();
    const mine = wanted.current;
    setState("loading");
    try {
      const sound = (await data(api.POST("/api/voices/preview", { body: { text, voice }, parseAs: "blob" }))) as unknown as Blob;
      if (wanted.current !== mine) return;
      const element = new Audio(URL.createObjectURL(sound));
      audio.current = element;
      element.addEventListener("ended", stop);
      await element.play();
      setState("playing");
    } catch (error) {
      if (wanted.current !== mine) return;
      setState("idle");
      toast.refusal(asApiError(error));
    }
  };
  return { isPlaying: state === "playing", isLoading: state === "loading", play: (text: string, voice: string | null) => void play(text, voice), stop };
}
