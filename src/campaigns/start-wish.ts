// When and how a campaign starts, from what a person or a program has written: "2027-01-31T09:00", "50,000/hr", "1 %". Every
// text that is no such thing is a problem of its field, which says what to write; nothing is guessed and nothing is left
// out in silence. What only the list can tell, such as whether a local time is over for all of it, is judged at the start.

import { Temporal } from "temporal-polyfill";
import type { Clock } from "../platform/clock.ts";
import { parseDuration, parseRate, parseShare, type Quantity } from "../platform/quantities.ts";
import { timeZoneProblem } from "../templates/format-filters.ts";
import { instantOf, parseLocalTime } from "./local-time.ts";
import type { StartWhen, StartWish } from "./start-campaign.ts";

/** As they are written; absent: not wished. */
export interface StartTexts {
  readonly at?: string | undefined;
  readonly localTime?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly pace?: string | undefined;
  readonly canary?: CanaryTexts | undefined;
}

interface CanaryTexts {
  readonly share?: string | undefined;
  readonly wait?: string | undefined;
  readonly limit?: string | undefined;
}

type StartField = "at" | "local_time" | "time_zone" | "pace" | "canary.share" | "canary.wait" | "canary.limit";

/** `problem`: what is wrong and what to write; fits behind the field's name and a colon. */
export interface StartProblem {
  readonly field: StartField;
  readonly problem: string;
}

export type StartWishAnswer =
  | { readonly kind: "wish"; readonly wish: StartWish }
  | { readonly kind: "bad"; readonly problems: readonly StartProblem[] };

const DAY_MS = 86_400_000;
/** A year, so that a slip in the year is seen. */
const START_AHEAD_DAYS_MAX = 366;
/** Of recipients who name none. */
const TIME_ZONE_DEFAULT = "UTC";
/** One a day. */
const PACE_PER_S_MIN = 1 / 86_400;
/** More than any lane sends. */
const PACE_PER_S_MAX = 100_000;
/** As long as bulk mail lives by default: later nothing more becomes of the canary. */
const CANARY_WAIT_DAYS_MAX = 7;
const CANARY_WAIT_DEFAULT = "15 min";
const CANARY_LIMIT_DEFAULT = "5 %";

export function readStartWish(texts: StartTexts, clock: Pick<Clock, "wallMs">): StartWishAnswer {
  const problems: StartProblem[] = [];
  const bad = (field: StartField, problem: string): void => void problems.push({ field, problem });
  const when = readWhen(texts, clock.wallMs(), bad);
  const pacePerS = texts.pace === undefined ? undefined : readPace(texts.pace, bad);
  const canary = texts.canary === undefined ? undefined : readCanary(texts.canary, bad);
  return problems.length > 0 ? { kind: "bad", problems } : { kind: "wish", wish: { when, pacePerS, canary } };
}

type Bad = (field: StartField, problem: string) => void;

const NOW: StartWhen = { kind: "now" };

function readWhen({ at, localTime, timeZone }: StartTexts, nowMs: number, bad: Bad): StartWhen {
  if (timeZone !== undefined && localTime === undefined)
    bad("time_zone", "it goes with a local time only: of recipients who name no zone");
  if (at !== undefined && localTime !== undefined) {
    bad("local_time", "give an instant or a local time, not both");
    return NOW;
  }
  if (at !== undefined) return readAt(at, nowMs, bad);
  return localTime === undefined ? NOW : readLocal(localTime, timeZone ?? TIME_ZONE_DEFAULT, nowMs, bad);
}

function readAt(text: string, nowMs: number, bad: Bad): StartWhen {
  const atMs = parseInstant(text);
  if (atMs === undefined) {
    bad("at", `${quoted(text)} is no instant: write it with its offset, such as "2027-01-31T09:00:00Z"`);
    return NOW;
  }
  if (atMs <= nowMs) bad("at", `${quoted(text)} is over: give a time to come, or none to start at once`);
  refuseFar("at", text, atMs, nowMs, bad);
  return { kind: "at", atMs };
}

function parseInstant(text: string): number | undefined {
  try {
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch {
    return undefined;
  }
}

/** Where it is that time last of all. */
const LAST_ZONE = "Etc/GMT+12";

function readLocal(text: string, zone: string, nowMs: number, bad: Bad): StartWhen {
  const zoneProblem = timeZoneProblem(zone);
  if (zoneProblem !== undefined) bad("time_zone", zoneProblem);
  const localTime = parseLocalTime(text);
  if (localTime === undefined) {
    bad("local_time", `${quoted(text)} is no local time: write a day and a time, such as "2027-01-31T09:00"`);
    return NOW;
  }
  if (instantOf(localTime, LAST_ZONE) <= nowMs) {
    bad("local_time", `${quoted(text)} is over everywhere: give a time to come, or none to start at once`);
  }
  refuseFar("local_time", text, instantOf(localTime, "UTC"), nowMs, bad);
  return { kind: "local", localTime, zone };
}

function refuseFar(field: StartField, text: string, atMs: number, nowMs: number, bad: Bad): void {
  if (atMs > nowMs + START_AHEAD_DAYS_MAX * DAY_MS)
    bad(field, `${quoted(text)} is more than ${START_AHEAD_DAYS_MAX} days ahead: check the year`);
}

function readPace(text: string, bad: Bad): number | undefined {
  const perS = valueOf(parseRate(text), "pace", text, bad);
  if (perS === undefined || (perS >= PACE_PER_S_MIN && perS <= PACE_PER_S_MAX)) return perS;
  bad("pace", `${quoted(text)} is not between "1/day" and "100,000/s"`);
  return undefined;
}

function readCanary(texts: CanaryTexts, bad: Bad): StartWish["canary"] {
  const { wait = CANARY_WAIT_DEFAULT, limit: limitText = CANARY_LIMIT_DEFAULT } = texts;
  const share = readCanaryShare(texts.share, bad);
  const waitMs = valueOf(parseDuration(wait), "canary.wait", wait, bad);
  const limit = valueOf(parseShare(limitText), "canary.limit", limitText, bad);
  if (waitMs !== undefined && waitMs > CANARY_WAIT_DAYS_MAX * DAY_MS)
    bad("canary.wait", `${quoted(wait)} is longer than ${CANARY_WAIT_DAYS_MAX} days`);
  if (limit === 1) bad("canary.limit", `${quoted(limitText)} would stop nothing: give less`);
  if (share === undefined || waitMs === undefined || limit === undefined) return undefined;
  return { share, waitMs, limit };
}

function readCanaryShare(text: string | undefined, bad: Bad): number | undefined {
  if (text === undefined) {
    bad("canary.share", 'say which part of the list is tried first, such as "1 %"');
    return undefined;
  }
  const share = valueOf(parseShare(text), "canary.share", text, bad);
  if (share === 0 || share === 1) bad("canary.share", `${quoted(text)} is no part of the list: give one such as "1 %"`);
  return share;
}

function valueOf(read: Quantity, field: StartField, text: string, bad: Bad): number | undefined {
  if (read.kind === "quantity") return read.value;
  bad(field, `${quoted(text)} is not ${read.problem}`);
  return undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
