/** Whole percents of groups that add up to 100: those whose rest is largest are rounded up. */
export function wholePercents(counts: readonly number[], total: number): number[] {
  const exact = counts.map((each) => (total ? (each / total) * 100 : 0));
  // Groups that overlap, as tags do, or that aren't all there are, have no sum to keep.
  if (counts.reduce((sum, each) => sum + each, 0) !== total) return exact.map(Math.round);
  const whole = exact.map(Math.floor);
  const missing = (total ? 100 : 0) - whole.reduce((sum, each) => sum + each, 0);
  const byRest = exact.map((_, at) => at).toSorted((a, b) => (exact[b] ?? 0) % 1 - (exact[a] ?? 0) % 1 || a - b);
  for (const at of byRest.slice(0, missing)) whole[at] = (whole[at] ?? 0) + 1;
  return whole;
}
