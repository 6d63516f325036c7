/** The frame's own four pictures, drawn here so that it needs no library for them. */
const PATHS = {
  close: "M18 6 6 18M6 6l12 12",
  menu: "M4 6h16M4 12h16M4 18h16",
  search: "m21 21-4.3-4.3M19 11a8 8 0 1 1-16 0 8 8 0 0 1 16 0",
  upAndDown: "m7 15 5 5 5-5M7 9l5-5 5 5",
};

export function Glyph({ of, size, className }: { of: keyof typeof PATHS; size: number; className?: string }) {
  return (
    <svg aria-hidden width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={2} strokeLinecap="round" strokeLinejoin="round" className={className}>
      <path d={PATHS[of]} />
    </svg>
  );
}
