/** A short tone of two notes. A browser lets a tab sound once somebody has clicked or typed in it. */
const NOTES = [660, 880] as const;
const NOTE_SECONDS = 0.14;
const VOLUME = 0.12;

let context: AudioContext | undefined;

/** To be called at a click: what is begun there may sound later. */
export function allowTone(): void {
  try {
    context ??= new AudioContext();
    if (context.state === "suspended") void context.resume().catch(() => undefined);
  } catch {
    // this browser has no sound
  }
}

export function playTone(): void {
  if (navigator.userActivation?.hasBeenActive !== false) allowTone();
  if (!context || context.state === "closed") return;
  const gain = context.createGain();
  gain.connect(context.destination);
  NOTES.forEach((frequency, at) => {
    if (!context) return;
    const begin = context.currentTime + at * NOTE_SECONDS;
    const note = context.createOscillator();
    note.frequency.value = frequency;
    gain.gain.setValueAtTime(0, begin);
    gain.gain.linearRampToValueAtTime(VOLUME, begin + 0.02);
    gain.gain.linearRampToValueAtTime(0, begin + NOTE_SECONDS);
    note.connect(gain);
    note.start(begin);
    note.stop(begin + NOTE_SECONDS);
  });
}
