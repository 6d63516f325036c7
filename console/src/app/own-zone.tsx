/** In which zone all times are, by the name that it has now. The first page doesn't wait for it. */
import { useZone } from "@/api/me";
import { useTexts } from "@/i18n";
import { zoneName } from "@/lib/format";

export default function OwnZone() {
  const t = useTexts("shell");
  const zone = useZone();
  return (
    <span title={`${t.timeZone} ${zone}`}>
      {" · "}
      {zoneName(zone)}
    </span>
  );
}
