// The judge of a campaign run. At every sample: do the sheets of the campaigns, lanes and days add up, and do they say what
// the queue has? At the end: who got how many copies of which text, by the sink's ledger, laid beside what the books and
// events tell. Pure, and believes nobody.

import { isSettled, type State } from "../src/mail/state.ts";
import type { CampaignReport } from "../src/reports/campaign-report.ts";

// ---- at every sample -------------------------------------------------------------------------------------------------

/** All of one moment. */
export interface SheetSample {
  readonly reports: readonly Pick<
    CampaignReport,
    "name" | "rows" | "rejected" | "doubled" | "not_accepted" | "unmade" | "books"
  >[];
  /** The books. */
  readonly booked: readonly SheetEntry[];
  /** Rows of the queue, and recipients who have no message yet: all that waits. */
  readonly counted: readonly SheetEntry[];
  /** Recipients that each campaign has accepted; of them, those who were withdrawn before they had a message. */
  readonly accepted: readonly {
    readonly lane: string;
    readonly campaign: string;
    readonly n: number;
    readonly withdrawn: number;
  }[];
}

export interface SheetEntry {
  readonly lane: string;
  readonly campaign: string;
  /** UTC. */
  readonly day: string;
  readonly state: State;
  readonly n: number;
}

/** In words; none: everything adds up. */
export function sheetProblems({ reports, booked, counted, accepted }: SheetSample): readonly string[] {
  return [
    ...reports.flatMap(reportProblems),
    ...booked.filter(({ n }) => n < 0).map((entry) => `below zero: ${printEntry(entry)}`),
    ...waitingProblems(booked, counted),
    ...laneProblems(booked, accepted),
  ];
}

function reportProblems(report: SheetSample["reports"][number]): readonly string[] {
  const { name, rows, rejected, doubled, not_accepted, unmade, books } = report;
  const problems: string[] = [];
  const sum = rejected + doubled + not_accepted + books.accepted;
  if (sum !== rows) {
    problems.push(
      `${name}: ${rows} rows are not ${rejected} rejected + ${doubled} doubled + ${books.accepted} accepted + ` +
        `${not_accepted} not accepted`,
    );
  }
  const states = Object.values(books.states).reduce((total, n) => total + n, 0);
  if (states !== books.accepted) problems.push(`${name}: ${books.accepted} accepted are not ${states} in its states`);
  if (not_accepted < 0 || unmade < 0 || !books.adds_up) problems.push(`${name}: a number is below zero`);
  return problems;
}

/** By lane, campaign, day and state. */
function waitingProblems(booked: readonly SheetEntry[], counted: readonly SheetEntry[]): readonly string[] {
  const sums = new Map<string, { booked: number; counted: number }>();
  const sumAt = (entry: SheetEntry) => {
    const key = `${entry.lane}, ${entry.campaign}, ${entry.day}, ${entry.state}`;
    const sum = sums.get(key) ?? { booked: 0, counted: 0 };
    sums.set(key, sum);
    return sum;
  };
  for (const entry of booked) if (!isSettled(entry.state)) sumAt(entry).booked += entry.n;
  for (const entry of counted) sumAt(entry).counted += entry.n;
  return [...sums]
    .filter(([, sum]) => sum.booked !== sum.counted)
    .map(([key, sum]) => `${key}: ${sum.booked} in the books, and ${sum.counted} wait`);
}

/** The days of a lane together have what its campaigns have accepted. */
function laneProblems(booked: readonly SheetEntry[], accepted: SheetSample["accepted"]): readonly string[] {
  return [...new Set([...booked, ...accepted].map(({ lane }) => lane))].flatMap((lane) => {
    const days = sumOf(booked.filter((entry) => entry.lane === lane));
    const campaigns = sumOf(accepted.filter((entry) => entry.lane === lane));
    return days === campaigns ? [] : [`lane ${lane}: ${campaigns} accepted, and its days have ${days}`];
  });
}

function sumOf(entries: readonly { readonly n: number }[]): number {
  return entries.reduce((sum, { n }) => sum + n, 0);
}

function printEntry({ lane, campaign, day, state, n }: SheetEntry): string {
  return `${lane}, ${campaign}, ${day}: ${n} ${state}`;
}

/** When nothing moves any more: the books of what is settled against the events of each message. */
export function settledProblems(
  fates: Iterable<MessageFate>,
  { booked, accepted }: Pick<SheetSample, "booked" | "accepted">,
): readonly string[] {
  const sums = new Map<string, { booked: number; told: number }>();
  const add = (campaign: string, state: State, which: "booked" | "told", n: number): void => {
    const key = `${campaign}, ${state}`;
    const sum = sums.get(key) ?? { booked: 0, told: 0 };
    sum[which] += n;
    sums.set(key, sum);
  };
  for (const { campaign, state, n } of booked) if (isSettled(state)) add(campaign, state, "booked", n);
  for (const { campaign, withdrawn } of accepted) add(campaign, "canceled", "told", withdrawn);
  for (const { campaign, waiting, settled } of fates)
    if (waiting === null && settled !== null) add(campaign, settled, "told", 1);
  return [...sums]
    .filter(([, sum]) => sum.booked !== sum.told)
    .map(([key, sum]) => `${key}: ${sum.booked} in the books, and ${sum.told} by the events`);
}

// ---- at the end ------------------------------------------------------------------------------------------------------

/** A list has an address once, in whatever case: so recipients are compared without regard to it. */
export interface CampaignWitnesses {
  /** Who is to get one copy, or none if suppressed; in lower case. */
  readonly listed: Iterable<string>;
  readonly suppressed: ReadonlySet<string>;
  /** `noted`: the text, by the word that stands in it. */
  readonly receptions: Iterable<{ readonly recipient: string; readonly noted: string }>;
  readonly fates: Iterable<MessageFate>;
  /** `campaign version` → the word of its text. */
  readonly texts: ReadonlyMap<string, string>;
}

/** Where one message stands, by the tables that say so. */
export interface MessageFate {
  readonly recipient: string;
  readonly campaign: string;
  /** The state of its row in the queue; null: it waits no longer. */
  readonly waiting: State | null;
  /** Of the event that settled it last, and the version of the template that this event tells; null: the first. */
  readonly settled: State | null;
  readonly version: number | null;
}

export interface CampaignVerdict {
  readonly received: number;
  /** Neither suppressed nor unknown, and never reached. */
  readonly lost: number;
  /** Copies beyond the first of a recipient. */
  readonly duplicates: number;
  readonly suppressedGot: number;
  /** Reached by another text than the one that is told. */
  readonly versionsWrong: number;
  /** Reached, and not sent by the books; or sent by two messages. */
  readonly sentWrong: number;
  /** Of nobody on the list. */
  readonly strangers: number;
  /** Messages that are still unknown. */
  readonly unknown: number;
  /** Sentences about the first few that are wrong. */
  readonly complaints: readonly string[];
}

const COMPLAINTS_MAX = 10;

export function judgeCampaign({ listed, suppressed, receptions, fates, texts }: CampaignWitnesses): CampaignVerdict {
  const got = readReceptions(receptions);
  const told = readFates(fates);
  const counts = { lost: 0, duplicates: 0, suppressedGot: 0, versionsWrong: 0, sentWrong: 0, strangers: 0, unknown: 0 };
  const complaints: string[] = [];
  const blame = (count: keyof typeof counts, n: number, text: string): void => {
    counts[count] += n;
    if (complaints.length < COMPLAINTS_MAX) complaints.push(`${count}: ${text}`);
  };
  let received = 0;
  const seen = new Set<string>();
  for (const recipient of listed) {
    seen.add(recipient);
    const words = got.get(recipient) ?? [];
    const { sent, isUnknown } = told.get(recipient) ?? NOTHING_TOLD;
    received += words.length;
    if (isUnknown) counts.unknown++;
    if (words.length > 1) blame("duplicates", words.length - 1, `${recipient} got ${words.join(", ")}`);
    if (suppressed.has(recipient)) {
      if (words.length > 0) blame("suppressedGot", 1, `${recipient} is suppressed and got ${words.join(", ")}`);
      continue;
    }
    if (words.length === 0) {
      if (!isUnknown || sent.length > 0) blame("lost", 1, `${recipient} got nothing, ${printSent(sent)}`);
      continue;
    }
    if (sent.length !== 1 && !isUnknown) blame("sentWrong", 1, `${recipient} got ${words[0]}, ${printSent(sent)}`);
    const text = sent[0] === undefined ? undefined : texts.get(sent[0]);
    if (sent[0] !== undefined && text !== words[0])
      blame("versionsWrong", 1, `${recipient} got ${words[0]}, and ${sent[0]} is ${text ?? "no version"}`);
  }
  for (const [recipient, words] of got)
    if (!seen.has(recipient)) blame("strangers", words.length, `${recipient} got ${words.join(", ")}`);
  return { received, ...counts, complaints };
}

function readReceptions(receptions: CampaignWitnesses["receptions"]): ReadonlyMap<string, readonly string[]> {
  const got = new Map<string, string[]>();
  for (const { recipient: given, noted } of receptions) {
    const recipient = given.toLowerCase();
    const words = got.get(recipient);
    if (words === undefined) got.set(recipient, [noted]);
    else words.push(noted);
  }
  return got;
}

interface Told {
  /** `campaign version` of each message that is sent. */
  readonly sent: string[];
  isUnknown: boolean;
}

const NOTHING_TOLD: Told = { sent: [], isUnknown: false };

function readFates(fates: Iterable<MessageFate>): ReadonlyMap<string, Told> {
  const told = new Map<string, Told>();
  for (const { recipient: given, campaign, waiting, settled, version } of fates) {
    const recipient = given.toLowerCase();
    const isSent = waiting === null && (settled === "sent" || settled === "delivered");
    if (!isSent && waiting !== "unknown") continue;
    const one = told.get(recipient) ?? { sent: [], isUnknown: false };
    told.set(recipient, one);
    if (isSent) one.sent.push(`${campaign} ${version ?? 1}`);
    else one.isUnknown = true;
  }
  return told;
}

function printSent(sent: readonly string[]): string {
  return sent.length === 0 ? "and no message to it is sent" : `and sent are ${sent.join(" and ")}`;
}
