// Filters that print dates, numbers, currencies, plurals and lists as people of a locale write them (`Intl`), in a time
// zone. Both come from the message's data (`locale`, `time_zone`), else from the template, else they are `en` and UTC. What
// cannot be printed is an error at its place in the template; only nothing prints nothing. No clock is read here.

import { type Context, filters } from "liquidjs";

export interface FormatDefaults {
  readonly locale: string;
  readonly timeZone: string;
}

/** As Liquid calls a filter. */
type Filter = (this: { readonly context: Context }, value: unknown, ...args: unknown[]) => unknown;

export function formatFilters(defaults: FormatDefaults): Readonly<Record<string, Filter>> {
  const filterOf = (name: string, print: Print): Filter =>
    function (value, ...args) {
      return print(value, readArguments(name, args), surroundings(name, this.context, args, defaults));
    };
  return {
    format_date: filterOf("format_date", printDate("dateStyle", "long")),
    format_time: filterOf("format_time", printDate("timeStyle", "short")),
    format_date_time: filterOf("format_date_time", printDateTime),
    format_number: filterOf("format_number", printNumber),
    format_percent: filterOf("format_percent", printPercent),
    format_currency: filterOf("format_currency", printCurrency),
    format_list: filterOf("format_list", printList),
    plural: filterOf("plural", printPlural),
    ...liquidDates(defaults),
  };
}

/** Why a text cannot be a locale, or undefined when it can. */
export function localeProblem(locale: string): string | undefined {
  return readLocale(locale) === undefined ? `"${cut(locale)}" is not a locale, such as "de" or "pt-BR"` : undefined;
}

/** Why a text cannot be a time zone, or undefined when it can. */
export function timeZoneProblem(zone: string): string | undefined {
  return isTimeZone(zone) ? undefined : `"${cut(zone)}" is not a time zone, such as "Europe/Vienna"`;
}

interface Surroundings extends FormatDefaults {
  /** The filter's name. */
  readonly filter: string;
  /** Counts what a filter makes against Liquid's limit of memory. */
  readonly use: (count: number) => void;
}

interface Arguments {
  readonly positional: readonly unknown[];
  readonly named: ReadonlyMap<string, unknown>;
}

type Print = (value: unknown, args: Arguments, around: Surroundings) => string;

/** Liquid gives `name: value` as a pair. */
function readArguments(filter: string, args: readonly unknown[]): Arguments {
  const positional: unknown[] = [];
  const named = new Map<string, unknown>();
  for (const argument of args) {
    if (!Array.isArray(argument)) positional.push(argument);
    else if (argument.length === 2 && OPTIONS[filter]?.includes(String(argument[0])) === true)
      named.set(String(argument[0]), argument[1]);
    else if (!EVERYWHERE.includes(String(argument[0]))) throw misuse(filter, `does not know "${cut(argument[0])}"`);
  }
  const positionalMax = POSITIONAL_MAX[filter] ?? 0;
  if (positional.length > positionalMax)
    throw misuse(filter, `takes ${positionalMax === 0 ? "no" : `at most ${positionalMax}`} argument without a name`);
  return { positional, named };
}

const EVERYWHERE: readonly string[] = ["locale", "time_zone"];
const PLURALS = ["zero", "one", "two", "few", "many", "other"] as const;
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  format_number: ["digits"],
  format_percent: ["digits"],
  format_currency: ["digits"],
  format_list: ["type"],
  plural: [...PLURALS, "type"],
};
const POSITIONAL_MAX: Readonly<Record<string, number>> = {
  format_date: 1,
  format_time: 1,
  format_date_time: 2,
  format_currency: 1,
};

function surroundings(
  filter: string,
  context: Context,
  args: readonly unknown[],
  defaults: FormatDefaults,
): Surroundings {
  const given = (name: string): unknown =>
    args.find((argument): argument is unknown[] => Array.isArray(argument) && argument[0] === name)?.[1];
  return {
    filter,
    use: (count) => context.memoryLimit.use(count),
    locale: localeOf(filter, given("locale") ?? ofData(context, "locale"), defaults),
    timeZone: timeZoneOf(filter, given("time_zone") ?? ofData(context, "time_zone"), defaults),
  };
}

/** The message's own, also within partials and whatever the template assigns. */
function ofData(context: Context, name: string): unknown {
  for (const data of [context.globals, context.environments] as readonly Readonly<Record<string, unknown>>[])
    if (Object.hasOwn(data, name) && data[name] !== "") return data[name];
  return undefined;
}

function localeOf(filter: string, given: unknown, { locale }: FormatDefaults): string {
  if (given === undefined || given === null) return locale;
  const read = typeof given === "string" ? readLocale(given) : undefined;
  if (read === undefined) throw misuse(filter, `"${cut(given)}" is not a locale, such as "de" or "pt-BR"`);
  return read;
}

function timeZoneOf(filter: string, given: unknown, { timeZone }: FormatDefaults): string {
  if (given === undefined || given === null) return timeZone;
  if (typeof given === "string" && isTimeZone(given)) return given;
  throw misuse(filter, `"${cut(given)}" is not a time zone, such as "Europe/Vienna"`);
}

/** Characters; the longest that people use has a third of it. */
const LOCALE_CHARS_MAX = 64;

/** Lists have `de_AT` as often as `de-AT`. */
function readLocale(given: string): string | undefined {
  if (given.length > LOCALE_CHARS_MAX) return undefined;
  const locale = given.replaceAll("_", "-");
  return kept(`locale ${locale}`, () => {
    try {
      return Intl.NumberFormat.supportedLocalesOf(locale).length > 0 ? locale : undefined;
    } catch {
      return undefined;
    }
  });
}

function isTimeZone(zone: string): boolean {
  if (zone.length > LOCALE_CHARS_MAX) return false;
  return kept(`zone ${zone}`, () => {
    try {
      return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
    } catch {
      return false;
    }
  });
}

// ---- dates -----------------------------------------------------------------------------------------------------------

const STYLES = ["full", "long", "medium", "short"] as const;
type Style = (typeof STYLES)[number];

function printDate(option: "dateStyle" | "timeStyle", byDefault: Style): Print {
  return (value, { positional: [style] }, around) => {
    const styles = { [option]: styleOf(around, style, byDefault) };
    return isNothing(value) ? "" : printInstant(readInstant(around, value, option === "timeStyle"), styles, around);
  };
}

const printDateTime: Print = (value, { positional: [date, time] }, around) => {
  const styles = { dateStyle: styleOf(around, date, "long"), timeStyle: styleOf(around, time, "short") };
  return isNothing(value) ? "" : printInstant(readInstant(around, value, true), styles, around);
};

function styleOf({ filter }: Surroundings, given: unknown, byDefault: Style): Style {
  if (given === undefined || given === null) return byDefault;
  const style = STYLES.find((known) => known === given);
  if (style === undefined) throw misuse(filter, `"${cut(given)}" is not one of ${STYLES.join(", ")}`);
  return style;
}

interface Instant {
  readonly at: Date;
  /** A day of the calendar: the same in every zone. */
  readonly isDay: boolean;
}

function printInstant({ at, isDay }: Instant, styles: Intl.DateTimeFormatOptions, around: Surroundings): string {
  const { locale } = around;
  const timeZone = isDay ? "UTC" : around.timeZone;
  const key = `date ${locale} ${timeZone} ${styles.dateStyle ?? ""} ${styles.timeStyle ?? ""}`;
  return kept(key, () => new Intl.DateTimeFormat(locale, { ...styles, timeZone })).format(at);
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})$/;
const SECONDS = /^\d{1,12}$/;

function readInstant({ filter }: Surroundings, value: unknown, needsTime: boolean): Instant {
  const text = typeof value === "number" || typeof value === "string" ? String(value).trim() : "";
  const isDay = DAY.test(text);
  const at = SECONDS.test(text) ? new Date(Number(text) * 1000) : parseTime(text);
  if (at === undefined || Number.isNaN(at.getTime())) {
    const example = needsTime ? '"2027-01-31T09:00:00Z"' : '"2027-01-31" or "2027-01-31T09:00:00Z"';
    throw misuse(filter, `"${cut(value)}" is not a time: give ISO 8601 with a zone, such as ${example}`);
  }
  if (isDay && needsTime) throw misuse(filter, `"${cut(value)}" has no time of day`);
  return { at, isDay };
}

function parseTime(text: string): Date | undefined {
  if (DAY.test(text)) {
    const at = new Date(`${text}T00:00:00Z`);
    // JavaScript makes the 3rd of March out of the 31st of February.
    return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text) ? at : undefined;
  }
  return TIME.test(text) ? new Date(text.replace(" ", "T").replace(/([+-]\d{2})(\d{2})$/, "$1:$2")) : undefined;
}

/** Liquid's own filters for dates, with the same locale and zone; they print what is no date as it is. */
function liquidDates(defaults: FormatDefaults): Readonly<Record<string, Filter>> {
  const names = ["date", "date_to_string", "date_to_long_string", "date_to_rfc822", "date_to_xmlschema"] as const;
  return Object.fromEntries(
    names.map((name) => {
      const own = filters[name] as Filter;
      const filter: Filter = function (value, ...args) {
        const { context } = this;
        const locale = localeOf(name, ofData(context, "locale"), defaults);
        const zone = timeZoneOf(name, ofData(context, "time_zone"), defaults);
        const opts = { ...context.opts, locale, timezoneOffset: zone === "UTC" ? 0 : zone };
        return own.call({ context: { opts, memoryLimit: context.memoryLimit } as Context }, value, ...args);
      };
      return [name, filter];
    }),
  );
}

// ---- numbers ---------------------------------------------------------------------------------------------------------

const printNumber: Print = (value, args, around) => printAs(value, {}, args, around);
const printPercent: Print = (value, args, around) => printAs(value, { style: "percent" }, args, around);

const printCurrency: Print = (value, args, around) => {
  const [given] = args.positional;
  const currency = typeof given === "string" ? given.toUpperCase() : "";
  if (!CURRENCIES.has(currency))
    throw misuse(around.filter, `"${cut(given)}" is not a currency: give its code, such as "EUR"`);
  return printAs(value, { style: "currency", currency }, args, around);
};

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));

function printAs(
  value: unknown,
  options: Intl.NumberFormatOptions,
  { named }: Arguments,
  around: Surroundings,
): string {
  const { locale, filter } = around;
  const digits = digitsOf(filter, named.get("digits"));
  if (isNothing(value)) return "";
  const fixed = digits === undefined ? {} : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const key = `number ${locale} ${options.style ?? ""} ${options.currency ?? ""} ${digits ?? ""}`;
  const format = kept(key, () => new Intl.NumberFormat(locale, { ...options, ...fixed }));
  return format.format(readNumber(filter, value));
}

const DIGITS_MAX = 20;

function digitsOf(filter: string, given: unknown): number | undefined {
  if (given === undefined || given === null) return undefined;
  const digits = Number(given);
  if (Number.isInteger(digits) && digits >= 0 && digits <= DIGITS_MAX) return digits;
  throw misuse(filter, `"digits" is a whole number from 0 to ${DIGITS_MAX}, not "${cut(given)}"`);
}

const NUMBER = /^-?\d{1,30}(?:\.\d{1,30})?$/;

/** The cells of a list are texts. */
function readNumber(filter: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "string" && NUMBER.test(value.trim())) return Number(value);
  throw misuse(filter, `"${cut(value)}" is not a number: give one such as 1234.5`);
}

// ---- words -----------------------------------------------------------------------------------------------------------

const printPlural: Print = (value, { named }, around) => {
  const { filter, locale } = around;
  const type = named.get("type") ?? "cardinal";
  if (type !== "cardinal" && type !== "ordinal")
    throw misuse(filter, `"type" is cardinal or ordinal, not "${cut(type)}"`);
  if (typeof named.get("other") !== "string") throw misuse(filter, 'needs a text for "other"');
  if (isNothing(value)) return "";
  const count = readNumber(filter, value);
  const rules = kept(`plural ${locale} ${type}`, () => new Intl.PluralRules(locale, { type }));
  // Many languages have no words of their own for none, people do.
  const category = count === 0 && named.has("zero") ? "zero" : rules.select(count);
  const words = named.get(category) ?? named.get("other");
  if (typeof words !== "string") throw misuse(filter, `needs a text for "${category}"`);
  const printed = kept(`number ${locale}   `, () => new Intl.NumberFormat(locale)).format(count);
  around.use(words.length * printed.length);
  return words.replaceAll("#", printed);
};

const printList: Print = (value, { named }, around) => {
  const { filter, locale } = around;
  const type = named.get("type") ?? "and";
  if (type !== "and" && type !== "or") throw misuse(filter, `"type" is and or or, not "${cut(type)}"`);
  if (isNothing(value)) return "";
  if (!Array.isArray(value)) throw misuse(filter, `"${cut(value)}" is not a list`);
  around.use(value.length);
  const intlType = type === "and" ? "conjunction" : "disjunction";
  const format = kept(`list ${locale} ${type}`, () => new Intl.ListFormat(locale, { type: intlType }));
  return format.format(value.map((item: unknown) => wordOf(filter, item)));
};

function wordOf(filter: string, item: unknown): string {
  if (typeof item === "string" || typeof item === "number") return String(item);
  throw misuse(filter, "takes a list of texts or numbers");
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

/** Formatters, and what was found of names: making one takes 100 times as long as using it. */
const FORMATTERS_MAX = 500;
const KEPT = new Map<string, unknown>();

function kept<Value>(key: string, make: () => Value): Value {
  if (KEPT.has(key)) return KEPT.get(key) as Value;
  const made = make();
  if (KEPT.size >= FORMATTERS_MAX) KEPT.delete(KEPT.keys().next().value!);
  KEPT.set(key, made);
  return made;
}

const PRINTED_CHARS_MAX = 60;

/** A value within our words: cut, and nothing in it that a terminal or a log would obey. */
function cut(value: unknown): string {
  const text = typeof value === "string" || typeof value === "number" ? String(value) : typeof value;
  return text.slice(0, PRINTED_CHARS_MAX).replaceAll(/[\p{C}\p{Z}]/gu, " ");
}

function misuse(filter: string, reason: string): Error {
  return new Error(`${filter}: ${reason}`);
}
