// Numbers, times and tables for people. Programs get theirs by --json.

/** 1234567 → `1,234,567`. */
export function printCount(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

/** `4.2 ms`, `1.3 s`, `2 min 5 s`, `3 h 12 min`, `2 days 4 h`: two units at most; a dash for what is not known. */
export function printSpan(spanMs: number | null): string {
  if (spanMs === null) return DASH;
  if (spanMs < 10) return `${Math.round(spanMs * 10) / 10} ms`;
  if (spanMs < 1000) return `${Math.round(spanMs)} ms`;
  if (spanMs < 10_000) return `${Math.round(spanMs / 100) / 10} s`;
  const seconds = Math.round(spanMs / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return twoUnits(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return twoUnits(seconds, 3600, "h", 60, "min");
  const days = seconds < 2 * 86_400 ? "day" : "days";
  return twoUnits(seconds, 86_400, days, 3600, "h");
}

function twoUnits(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  const first = `${printCount(Math.floor(seconds / large))} ${largeName}`;
  return rest === 0 ? first : `${first} ${rest} ${smallName}`;
}

/** A rate per second: whole from ten on. */
export function printPerSecond(rate: number): string {
  return rate >= 10 || rate === 0 ? printCount(rate) : String(Math.round(rate * 10) / 10);
}

/** `2027-01-31 09:00:00Z`: UTC, as the logs have it. */
export function printTime(iso: string | null): string {
  return iso === null ? DASH : iso.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

/** `1 message`, `2,000 messages`. */
export function countOf(count: number, noun: string): string {
  return `${printCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

export const DASH = "–";

export interface Column {
  readonly title: string;
  readonly isNumber: boolean;
}

export const text = (title: string): Column => ({ title, isNumber: false });
export const number = (title: string): Column => ({ title, isNumber: true });

/** Aligned columns, two spaces apart: texts to the left, numbers to the right. */
export function printTable(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(harmless))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => widthOf(row[index] ?? ""))));
  return cells.map((row) =>
    columns
      .map(({ isNumber }, index) => pad(row[index] ?? "", widths[index]!, isNumber))
      .join("  ")
      .trimEnd(),
  );
}

function pad(cell: string, width: number, isNumber: boolean): string {
  const filling = " ".repeat(width - widthOf(cell));
  return isNumber ? filling + cell : cell + filling;
}

function widthOf(cell: string): number {
  return Array.from(cell).length;
}

/** A server's reply or a header must not give orders to the terminal. */
export function harmless(foreign: string): string {
  return foreign.replaceAll(/\p{Cc}/gu, "\u{fffd}");
}
