// Quantiles of what was measured, rounded for people.

export function quantile(figures: readonly number[], part: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!);
}

export function round(figure: number): number {
  return Math.round(figure * 100) / 100;
}
