/** Lines over days, drawn by uPlot on a canvas; the table beside it is for readers. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useIsDark } from "@/app/theme";
import { dayName } from "@/lib/format";

export interface Series {
  label: string;
  /** A colour token's name: `accent`, `info`. */
  colour: "accent" | "info" | "warn" | "bad" | "dim";
  values: (number | null)[];
  isFilled?: boolean;
}

const HEIGHT_PX = 220;
const AXIS_PX = 44;

export default function Plot({ label, days, series, format }: { label: string; days: string[]; series: Series[]; format: (value: number) => string }) {
  const box = useRef<HTMLDivElement>(null);
  const isDark = useIsDark();
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const style = getComputedStyle(element);
    const colour = (name: string): string => resolved(element, style.getPropertyValue(`--color-${name}`));
    const axis = { stroke: colour("dim"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: `11px ${style.fontFamily}` };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT_PX,
        tzDate: (seconds) => new Date(seconds * 1000),
        legend: { live: true },
        cursor: { points: { size: 6 }, drag: { setScale: false } },
        scales: { x: { time: false }, y: { range: (_, _least, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          { ...axis, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? dayName(days[tick] ?? days[0] ?? "") : "")), incrs: [1, 2, 5, 7, 14, 30, 60, 90], space: 64 },
          { ...axis, values: (_, ticks) => ticks.map((tick) => format(tick)), size: AXIS_PX },
        ],
        series: [
          { label: "", value: (_, at) => (at === null ? "" : dayName(days[at] ?? "", true)) },
          ...series.map((each) => ({
            label: each.label,
            stroke: colour(each.colour),
            width: 2,
            points: { show: days.length <= 14, size: 5 },
            spanGaps: false,
            value: (_: uPlot, value: number | null) => (value === null ? "" : format(value)),
            ...(each.isFilled ? { fill: `${colour(each.colour)}22` } : {}),
          })),
        ],
      },
      [days.map((_, at) => at), ...series.map((each) => each.values)],
      element,
    );
    const watcher = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [days, series, format, isDark]);
  return <div ref={box} role="img" aria-label={label} className="hum-plot min-w-0 overflow-hidden" />;
}

/** A token is `light-dark(#a, #b)`: a canvas needs the one that holds now, as `#rrggbb`. */
function resolved(element: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = token;
  element.append(probe);
  const channels = getComputedStyle(probe).color.match(/\d+(\.\d+)?/g)?.slice(0, 3) ?? ["0", "0", "0"];
  probe.remove();
  return `#${channels.map((each) => Math.round(Number(each)).toString(16).padStart(2, "0")).join("")}`;
}
