/** Calls by hour of the week, as a grid. */
import type { Schemas } from "@/api/client";

export const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const LEVELS = 5;

/** Seven rows of 24, Monday first. */
export function gridOf(hours: readonly Schemas["HourFigures"][]): number[][] {
  const grid = Array.from({ length: 7 }, () => HOURS.map(() => 0));
  for (const { weekday, hour, calls } of hours) {
    const row = grid[weekday - 1];
    if (row && hour in row) row[hour] = calls;
  }
  return grid;
}

/** 0 for none, 1 to 5 for its share of the most. */
export function levelOf(calls: number, most: number): number {
  return calls === 0 ? 0 : Math.max(1, Math.ceil((calls / Math.max(1, most)) * LEVELS));
}
