/**
 * How many segments a text is, as carriers bill them; the same count as the platform's, at each key press.
 *
 * GSM 03.38: septets of a basic alphabet, and of an extension table whose characters cost two; else UCS-2. A text of several
 * segments loses six bytes of each to the header that joins them.
 */
const BASIC = new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
const EXTENSION = new Set("\f^{}\\[~]|€");

export interface Segments {
  encoding: "gsm_7" | "ucs_2";
  segments: number;
  /** What the text takes, and what so many segments hold, in units of its encoding. */
  used: number;
  room: number;
  /** Characters that the carriers' alphabet lacks, each once: one of them more than doubles the price. */
  unusual: string[];
}

export function segmentsOf(body: string): Segments {
  const chars = [...body];
  const unusual = [...new Set(chars.filter((char) => !BASIC.has(char) && !EXTENSION.has(char)))];
  if (unusual.length === 0) return { encoding: "gsm_7", unusual, ...split(chars.map((char) => (EXTENSION.has(char) ? 2 : 1)), 160, 153) };
  return { encoding: "ucs_2", unusual, ...split(chars.map((char) => char.length), 70, 67) };
}

/** What one character costs is never divided between two segments. */
function split(costs: number[], one: number, each: number): { segments: number; used: number; room: number } {
  const used = costs.reduce((sum, cost) => sum + cost, 0);
  if (used <= one) return { segments: 1, used, room: one };
  let segments = 1;
  let left = each;
  for (const cost of costs) {
    if (cost > left) {
      segments += 1;
      left = each;
    }
    left -= cost;
  }
  return { segments, used, room: segments * each };
}
