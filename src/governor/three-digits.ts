// Figures for people: three digits, since more would only look exact.

export function threeDigits(figure: number): number {
  return Number(figure.toPrecision(3));
}
