/** A search whose words go into the URL once the typing rests. */
import { Search } from "lucide-react";
import { useEffect, useRef, useState } from "react";

const TYPING_MS = 250;

export function SearchField({ id, label, placeholder, value, onChange }: { id: string; label: string; placeholder?: string; value: string; onChange: (q: string) => void }) {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  if (shown !== value) {
    setShown(value);
    if (value !== text.trim()) setText(value);
  }
  return (
    <div className="relative min-w-0 flex-1">
      <Search size={15} aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-dim" />
      <input
        id={id}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        maxLength={200}
        value={text}
        className="h-9 w-full rounded-control border border-line-strong bg-surface pr-2 pl-8 hover:border-dim max-md:h-11 max-md:text-base"
        onChange={(event) => {
          setText(event.target.value);
          clearTimeout(timer.current);
          const next = event.target.value.trim();
          timer.current = setTimeout(() => onChange(next), TYPING_MS);
        }}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
    </div>
  );
}
