import { X } from "lucide-react";
import { useState } from "react";
import { useTexts } from "@/i18n";
import { Button, IconButton } from "@/ui/button";
import { TextField } from "@/ui/field";

const MOST = 10;

/** Links to the files of a text; the carrier fetches them when it is sent. */
export function MediaLinks({ urls, onChange }: { urls: string[]; onChange: (urls: string[]) => void }) {
  const t = useTexts("inbox");
  const [text, setText] = useState("");
  const [fault, setFault] = useState<string>();
  const add = (): void => {
    const url = text.trim();
    if (!isFetchable(url)) setFault(t.notAUrl);
    else if (urls.length >= MOST) setFault(t.mostMedia(MOST));
    else {
      onChange([...new Set([...urls, url])]);
      setText("");
      setFault(undefined);
    }
  };
  return (
    <div className="mb-2 space-y-1">
      {urls.map((url) => (
        <p key={url} className="flex items-center gap-1 text-[13px]">
          <span className="min-w-0 flex-1 truncate">{url}</span>
          <IconButton size="sm" label={t.removeMedia} icon={X} onClick={() => onChange(urls.filter((each) => each !== url))} />
        </p>
      ))}
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <TextField
            isBare
            type="url"
            label={t.mediaUrl}
            placeholder={t.mediaPlaceholder}
            hint={t.mediaHint}
            error={fault}
            value={text}
            maxLength={2000}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              add();
            }}
          />
        </div>
        <Button off={text.trim() ? null : t.mediaUrl} onClick={add}>
          {t.addIt}
        </Button>
      </div>
    </div>
  );
}

function isFetchable(url: string): boolean {
  try {
    return new URL(url).protocol === "https:" && url.length <= 2000;
  } catch {
    return false;
  }
}
