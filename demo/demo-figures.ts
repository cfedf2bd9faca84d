// The end of the demo: figures out of the books and the ledger, the verdict, and a sentence for each message whose
// hand-over the killed dispatcher left open. Pure.

import { judgeRun, type RunVerdict, type SiteKnowledge } from "../faults/rig/judge-run.ts";
import type { BookEntry } from "../faults/rig/books-store.ts";
import type { Reception } from "../bench/sink-ledger.ts";
import { print } from "./live-progress.ts";

export interface DemoFigures {
  readonly verdict: RunVerdict;
  readonly perS: number;
  readonly waiting: Readonly<Record<string, { readonly p50Ms: number; readonly p99Ms: number }>>;
  readonly unknowns: readonly string[];
}

export function figuresOf(given: {
  readonly recipients: readonly string[];
  readonly books: readonly BookEntry[];
  readonly receptions: readonly Reception[];
  readonly balance: Readonly<Record<string, number>>;
}): DemoFigures {
  const { books, receptions, balance } = given;
  const site = new Map<string, SiteKnowledge>(given.recipients.map((to) => [to, "acknowledged"]));
  const firstAt = firstReceptions(receptions);
  return {
    verdict: judgeRun({ site, books, receptions, balance }),
    perS: bulkRate(books, firstAt),
    waiting: {
      transactional: waitingOf(books, firstAt, "transactional"),
      bulk: waitingOf(books, firstAt, "bulk"),
    },
    unknowns: books.filter(({ waiting }) => waiting === "unknown").map((entry) => explainUnknown(entry, receptions)),
  };
}

function firstReceptions(receptions: readonly Reception[]): ReadonlyMap<string, number> {
  const firstAt = new Map<string, number>();
  for (const { recipient, atMs } of receptions) if (!firstAt.has(recipient)) firstAt.set(recipient, atMs);
  return firstAt;
}

/** From the first newsletter in the ledger to the last, the kill and the new start included. */
function bulkRate(books: readonly BookEntry[], firstAt: ReadonlyMap<string, number>): number {
  const times = books.flatMap(({ lane, recipient }) => (lane === "bulk" ? (firstAt.get(recipient) ?? []) : []));
  const sorted = times.toSorted((one, other) => one - other);
  const ms = (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
  return ms === 0 ? 0 : ((sorted.length - 1) / ms) * 1000;
}

function waitingOf(books: readonly BookEntry[], firstAt: ReadonlyMap<string, number>, lane: string) {
  const waited = books
    .filter((entry) => entry.lane === lane && firstAt.has(entry.recipient))
    .map((entry) => firstAt.get(entry.recipient)! - entry.acceptedAtMs)
    .toSorted((one, other) => one - other);
  const at = (share: number): number => waited[Math.min(waited.length - 1, Math.floor(waited.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

export function explainUnknown(entry: BookEntry, receptions: readonly Reception[]): string {
  const times = receptions.filter(({ recipient }) => recipient === entry.recipient).length;
  return `msg_${entry.id} to ${entry.recipient}: ${sentenceFor(times)}`;
}

function sentenceFor(times: number): string {
  switch (times) {
    case 0:
      return "the sink never got it: the dispatcher died after it had noted the final dot, before it was sent.";
    case 1:
      return "the sink has it once: it had arrived when the dispatcher died before the reply was written down.";
    default:
      return `the sink has it ${times} times, which must not happen.`;
  }
}

export function printFigures({ verdict, perS, waiting }: DemoFigures): readonly string[] {
  const { accepted, byState, unknown, lost, duplicates } = verdict;
  const others = Object.entries(byState).filter(([state]) => state !== "sent" && state !== "unknown");
  const sum = [["sent", byState["sent"] ?? 0] as const, ["unknown", unknown] as const, ...others];
  const rows: readonly (readonly [string, string])[] = [
    ["newsletters a second", `${print(perS)}, the crash and the new start included`],
    ["waiting time of password resets", `${printWaiting(waiting["transactional"])}, from enqueue to the sink's 250`],
    ["waiting time of newsletters", `${printWaiting(waiting["bulk"])}, most of it behind each other`],
    ["accepted", `${print(accepted)} = ${sum.map(([state, n]) => `${print(n)} ${state}`).join(" + ")}`],
    ["lost", print(lost)],
    ["duplicates", print(duplicates)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

function printWaiting(waiting: { readonly p50Ms: number; readonly p99Ms: number } | undefined): string {
  return waiting === undefined ? "none" : `p50 ${printMs(waiting.p50Ms)}, p99 ${printMs(waiting.p99Ms)}`;
}

function printMs(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
