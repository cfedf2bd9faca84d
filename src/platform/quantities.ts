// Durations, rates and sizes as people write them ("3 days", "10,000/hr", "10 MB"), read and printed. Reading is strict:
// a number without a unit, an unknown unit or a comma in the wrong place is refused with a sentence that says what was
// expected. What is printed can be read again and means the same. Never guesses: "1,5 h" is not one and a half hours.

/** Read or refused; `problem` is for people and fits behind "expected". */
export type Quantity =
  | { readonly kind: "quantity"; readonly value: number }
  | { readonly kind: "refused"; readonly problem: string };

/** `3 days`, `15s`, `1 h 30 min` → milliseconds, a whole number. */
export function parseDuration(text: string): Quantity {
  const parts = splitParts(text);
  if (parts === undefined) return refused(DURATION_EXPECTED);
  let totalMs = 0;
  for (const { amount, unit } of parts) {
    const unitMs = DURATION_UNITS.get(unit.toLowerCase());
    if (unitMs === undefined) return refused(DURATION_EXPECTED);
    totalMs += amount * unitMs;
  }
  return wholeNumber(totalMs, "a duration of whole milliseconds");
}

/** `100/s`, `10,000/hr`, `5 per minute` → how many per second. */
export function parseRate(text: string): Quantity {
  const [, amountText = "", unit = ""] = RATE.exec(text.slice(0, QUANTITY_CHARS_MAX + 1)) ?? [];
  const amount = parseAmount(amountText);
  const unitMs = DURATION_UNITS.get(unit.toLowerCase());
  if (amount === undefined || unitMs === undefined || text.length > QUANTITY_CHARS_MAX) return refused(RATE_EXPECTED);
  return { kind: "quantity", value: amount / (unitMs / SECOND_MS) };
}

/** `10 MB` (10,000,000), `10 MiB` (10,485,760), `512 bytes` → bytes, a whole number. */
export function parseSize(text: string): Quantity {
  const [part, ...rest] = splitParts(text) ?? [];
  const unitBytes = part === undefined ? undefined : SIZE_UNITS.get(part.unit.toLowerCase());
  if (part === undefined || unitBytes === undefined || rest.length > 0) return refused(SIZE_EXPECTED);
  return wholeNumber(part.amount * unitBytes, "a size of whole bytes");
}

/** `5 %`, `0.5%` → a share of 1. */
export function parseShare(text: string): Quantity {
  const [, amountText = ""] = /^\s*([\d.,]+)\s*%\s*$/.exec(text.slice(0, QUANTITY_CHARS_MAX + 1)) ?? [];
  const percent = parseAmount(amountText);
  if (percent === undefined || percent > 100) return refused(SHARE_EXPECTED);
  return { kind: "quantity", value: percent / 100 };
}

/** 259,200,000 → `3 days`; 90,000 → `1 min 30 s`. */
export function printDuration(durationMs: number): string {
  let leftMs = Math.round(durationMs);
  if (leftMs === 0) return "0 s";
  const parts: string[] = [];
  for (const [name, unitMs] of PRINTED_DURATION_UNITS) {
    const count = Math.floor(leftMs / unitMs);
    if (count === 0) continue;
    parts.push(`${printCount(count)} ${name === "day" && count > 1 ? "days" : name}`);
    leftMs -= count * unitMs;
  }
  return parts.join(" ");
}

/** 2.777… per second → `10,000/hr`; a rate that is whole in no unit is rounded to three digits or more. */
export function printRate(perSecond: number): string {
  if (perSecond === Infinity) return "unlimited";
  for (const [name, unitMs] of PRINTED_RATE_UNITS) {
    const count = perSecond * (unitMs / SECOND_MS);
    const whole = Math.round(count);
    if (whole > 0 && Math.abs(count - whole) <= whole * 1e-9) return `${printCount(whole)}/${name}`;
  }
  if (perSecond === 0) return "0/s";
  const [name, unitMs] = PRINTED_RATE_UNITS.find(([, ms]) => perSecond * (ms / SECOND_MS) >= 1) ?? ["day", DAY_MS];
  return `${roundedTo3Digits(perSecond * (unitMs / SECOND_MS))}/${name}`;
}

/** 10,000,000 → `10 MB`; 10,485,760 → `10 MiB`: the unit in which the number is whole and smallest. */
export function printSize(bytes: number): string {
  const whole = Math.round(bytes);
  const [name, unitBytes] = PRINTED_SIZE_UNITS.filter(([, unit]) => whole >= unit && whole % unit === 0).toSorted(
    ([, one], [, other]) => other - one,
  )[0] ?? ["B", 1];
  return `${printCount(whole / unitBytes)} ${name}`;
}

/** Longer texts are not quantities; the limit keeps the patterns below from working on a megabyte. */
export const QUANTITY_CHARS_MAX = 100;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const DURATION_EXPECTED = 'a duration such as "15 s", "5 min", "2 hours" or "3 days"';
const RATE_EXPECTED = 'a rate such as "100/s", "500/min" or "10,000/hr"';
const SHARE_EXPECTED = 'a share from 0 % to 100 %, such as "5 %"';
const SIZE_EXPECTED = 'a size such as "512 KB", "10 MB" or "2 GiB"';

// A month and a year have no fixed length, so they are no units here; "m" is a minute, as in Postfix and Exim.
const DURATION_UNITS: ReadonlyMap<string, number> = unitTable([
  [1, ["ms", "millisecond", "milliseconds"]],
  [SECOND_MS, ["s", "sec", "secs", "second", "seconds"]],
  [MINUTE_MS, ["m", "min", "mins", "minute", "minutes"]],
  [HOUR_MS, ["h", "hr", "hrs", "hour", "hours"]],
  [DAY_MS, ["d", "day", "days"]],
  [7 * DAY_MS, ["w", "week", "weeks"]],
]);
const PRINTED_DURATION_UNITS = [
  ["day", DAY_MS],
  ["h", HOUR_MS],
  ["min", MINUTE_MS],
  ["s", SECOND_MS],
  ["ms", 1],
] as const;
const PRINTED_RATE_UNITS = [
  ["s", SECOND_MS],
  ["min", MINUTE_MS],
  ["hr", HOUR_MS],
  ["day", DAY_MS],
] as const;

// KB is 1,000 bytes and KiB 1,024 (IEC 80000-13).
const SIZE_UNITS: ReadonlyMap<string, number> = unitTable([
  [1, ["b", "byte", "bytes"]],
  [1e3, ["kb"]],
  [2 ** 10, ["kib"]],
  [1e6, ["mb"]],
  [2 ** 20, ["mib"]],
  [1e9, ["gb"]],
  [2 ** 30, ["gib"]],
]);
const PRINTED_SIZE_UNITS = [
  ["GiB", 2 ** 30],
  ["GB", 1e9],
  ["MiB", 2 ** 20],
  ["MB", 1e6],
  ["KiB", 2 ** 10],
  ["KB", 1e3],
] as const;

const AMOUNT = String.raw`\d[\d,]*(?:\.\d+)?`;
const RATE = new RegExp(String.raw`^\s*(${AMOUNT})\s*(?:/|\s+per\s+)\s*([a-z]+)\s*$`, "i");

interface Part {
  readonly amount: number;
  readonly unit: string;
}

/** `1 h 30 min` → both parts; undefined when something else stands between, before or behind them. */
function splitParts(text: string): readonly Part[] | undefined {
  if (text.length > QUANTITY_CHARS_MAX) return undefined;
  if (!new RegExp(String.raw`^\s*(?:${AMOUNT}\s*[a-z]+\s*)+$`, "i").test(text)) return undefined;
  const parts: Part[] = [];
  for (const [, amountText = "", unit = ""] of text.matchAll(new RegExp(String.raw`(${AMOUNT})\s*([a-z]+)`, "gi"))) {
    const amount = parseAmount(amountText);
    if (amount === undefined) return undefined;
    parts.push({ amount, unit });
  }
  return parts;
}

/** `10,000` and `1.5`; commas only where thousands end, so that a decimal comma is not read as a factor of ten. */
function parseAmount(text: string): number | undefined {
  if (!/^(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?$/.test(text)) return undefined;
  return Number(text.replaceAll(",", ""));
}

function wholeNumber(value: number, expected: string): Quantity {
  const whole = Math.round(value);
  const isWhole = Math.abs(value - whole) < 1e-6 * Math.max(1, whole);
  if (!isWhole || !Number.isSafeInteger(whole)) return refused(expected);
  return { kind: "quantity", value: whole };
}

function refused(problem: string): Quantity {
  return { kind: "refused", problem };
}

function unitTable(rows: readonly (readonly [number, readonly string[]])[]): ReadonlyMap<string, number> {
  return new Map(rows.flatMap(([factor, names]) => names.map((name) => [name, factor] as const)));
}

/** Grouped by thousands, in the only way that `parseAmount` reads. */
function printCount(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

function roundedTo3Digits(amount: number): string {
  if (amount >= 100) return printCount(Math.round(amount));
  return String(Number(amount.toPrecision(3)));
}
