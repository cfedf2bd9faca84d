// `postlane destination list|pause|resume`: recipient domains that a person or a rule has stopped, and those whose mail
// waits because they fail or have not proven themselves. The rest, which is well, is not listed.

import { tellReason, type Reason } from "../../mail/reasons.ts";
import { readSnapshot, type EngineSnapshot } from "../../reports/engine-snapshot.ts";
import { throttledOf } from "../../reports/explain-destinations.ts";
import { printInstant } from "../../reports/explain-limit.ts";
import { pauseReason } from "../../reports/explain-limits.ts";
import { lowerAscii } from "../../reports/explain-question.ts";
import { EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { pauseNamed, resumeNamed, type PauseOptions } from "./pausing.ts";
import { DASH, number, printCount, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export async function runDestinationList(options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const snapshot = await withDatabase(readConfig(options), readSnapshot);
  const destinations = [...pausedOf(snapshot), ...throttledRows(snapshot)];
  const { failingCount } = throttledOf(snapshot);
  output.answer({ failing: Math.max(failingCount, snapshot.destinations.failing), destinations });
  if (destinations.length === 0) output.print("no destination is paused, fails, or has yet to prove itself");
  else for (const line of printTable(COLUMNS, destinations.map(printDestination))) output.print(line);
  const told = destinations.filter(({ state }) => state === "failing").length;
  const failing = Math.max(failingCount, snapshot.destinations.failing);
  if (failing > told) output.print(`${printCount(failing)} fail in all; the worst are shown`);
  return EXIT_DONE;
}

interface ListedDestination {
  readonly name: string;
  readonly state: "paused" | "stopped_by_rule" | "failing" | "unproven";
  readonly lane: string | null;
  readonly since: string | null;
  readonly waiting: number | null;
  readonly is_waiting_more: boolean;
  readonly code: Reason["code"];
  readonly evidence: Reason["evidence"];
  readonly sentence: string;
}

function pausedOf(snapshot: EngineSnapshot): readonly ListedDestination[] {
  return snapshot.pauses
    .filter(({ kind }) => kind === "destination")
    .map((pause) => ({
      name: pause.name,
      state: pause.isByRule ? "stopped_by_rule" : "paused",
      lane: pause.lane,
      since: printInstant(pause.pausedAtMs),
      ...shapeReason(pauseReason(pause), pause.name, snapshot),
    }));
}

function throttledRows(snapshot: EngineSnapshot): readonly ListedDestination[] {
  const { failing, unproven } = throttledOf(snapshot);
  return [
    ...failing.map((one) => ({ ...one, state: "failing" as const })),
    ...unproven.map((one) => ({ ...one, state: "unproven" as const })),
  ].map(({ destination, reason, state }) => ({
    name: destination,
    state,
    lane: null,
    since: null,
    ...shapeReason(reason, destination, snapshot),
  }));
}

function shapeReason(
  reason: Reason,
  name: string,
  { waitingFor }: EngineSnapshot,
): Pick<ListedDestination, "waiting" | "is_waiting_more" | "code" | "evidence" | "sentence"> {
  const counted = waitingFor[name];
  return {
    waiting: counted?.waiting ?? null,
    is_waiting_more: counted?.isMore ?? false,
    code: reason.code,
    evidence: reason.evidence,
    sentence: tellReason(reason),
  };
}

const COLUMNS = [text("destination"), text(""), text("lane"), number("waiting"), text("why")];

function printDestination({ name, state, lane, waiting, is_waiting_more, sentence }: ListedDestination) {
  const count = waiting === null ? DASH : `${printCount(waiting)}${is_waiting_more ? "+" : ""}`;
  return [name, state.replaceAll("_", " "), lane ?? "every", count, sentence];
}

export async function runDestinationPause(domain: string, options: PauseOptions): Promise<number> {
  return await pauseNamed({ kind: "destination", name: readDomain(domain) }, options);
}

export async function runDestinationResume(domain: string, options: PauseOptions): Promise<number> {
  return await resumeNamed({ kind: "destination", name: readDomain(domain) }, options);
}

/** As the queue has it: in lower case. */
export function readDomain(text: string): string {
  if (/^[^\s@\p{Cc}]{1,255}$/u.test(text)) return lowerAscii(text);
  throw misused(`"${text}" is no recipient domain: expected what stands behind the @, such as example.com.`);
}
