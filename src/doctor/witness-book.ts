// What a witness remembers, and its side of the conversation: a line in, an answer out. Pure but for the book that it keeps;
// the clock and the way to keep it on disk come in. It believes whoever has the token, and never lets a count go down.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { WitnessedRun } from "./judge-witnessed-disk.ts";
import { parseTesterLine, WITNESS_VERSION, type NoCode, type TesterLine, type WitnessLine } from "./witness-line.ts";
import { NONE, type Counts } from "./witness-record.ts";

export interface RememberedRun {
  readonly run: string;
  /** Host and folder; a new run there replaces the one before. */
  readonly place: string;
  readonly boot: string;
  readonly mount: string;
  readonly beganAtMs: number;
  readonly heardAtMs: number;
  readonly told: Counts;
}

/** More places than anybody tests at once; then the one that was silent for longest is forgotten. */
export const RUNS_KEPT_MAX = 64;

export interface WitnessBook {
  readonly token: string;
  readonly clock: Clock;
  /** By place. */
  readonly runs: Map<string, RememberedRun>;
  /** Something changed; resolves when it is on the disk. */
  readonly keep: () => Promise<void>;
}

export interface WitnessSession {
  /** After a "no" it is over. */
  take(line: string): Promise<WitnessLine>;
}

export function openWitnessSession(book: WitnessBook): WitnessSession {
  let isKnown = false;
  let begun: BeginLine | undefined;
  return {
    async take(written) {
      const line = parseTesterLine(written);
      if (line === undefined) return no("line");
      if (!isKnown) {
        const refusal = refusalOf(book, line);
        isKnown = refusal === undefined;
        return refusal === undefined ? OK : no(refusal);
      }
      switch (line.kind) {
        case "hello":
          return no("order");
        case "begin":
          begun = line;
          return await begin(book, line);
        case "told":
          return note(book, begun, line.told);
        case "end":
          if (runOf(book, begun) !== undefined) book.runs.delete(begun!.place);
          return await kept(book);
        case "last": {
          const known = book.runs.get(line.place);
          return known === undefined ? { kind: "none" } : { kind: "run", known: asTold(known) };
        }
      }
    },
  };
}

const OK: WitnessLine = { kind: "ok" };

function no(code: NoCode): WitnessLine {
  return { kind: "no", code };
}

function refusalOf({ token }: WitnessBook, line: TesterLine): NoCode | undefined {
  if (line.kind !== "hello") return "order";
  if (line.version !== WITNESS_VERSION) return "version";
  return timingSafeEqual(digestOf(line.token), digestOf(token)) ? undefined : "token";
}

/** Of one length, so that they can be compared in constant time. */
function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

type BeginLine = TesterLine & { readonly kind: "begin" };

async function begin(book: WitnessBook, { run, place, boot, mount }: BeginLine): Promise<WitnessLine> {
  const nowMs = book.clock.wallMs();
  book.runs.set(place, { run, place, boot, mount, beganAtMs: nowMs, heardAtMs: nowMs, told: NONE });
  const silent = [...book.runs.values()].toSorted((one, other) => one.heardAtMs - other.heardAtMs);
  for (const forgotten of silent.slice(0, Math.max(0, silent.length - RUNS_KEPT_MAX))) {
    if (forgotten.place !== place) book.runs.delete(forgotten.place);
  }
  return await kept(book);
}

async function kept(book: WitnessBook): Promise<WitnessLine> {
  return await book.keep().then(
    () => OK,
    () => no("disk"),
  );
}

/** Not waited for: a tester must not be slowed down by the disk of its witness. */
function note(book: WitnessBook, begun: BeginLine | undefined, told: Counts): WitnessLine {
  const known = runOf(book, begun);
  if (known === undefined) return no("order");
  book.runs.set(known.place, { ...known, heardAtMs: book.clock.wallMs(), told: later(known.told, told) });
  book.keep().catch(() => {});
  return OK;
}

/** Undefined when another run has taken its place meanwhile. */
function runOf({ runs }: WitnessBook, begun: BeginLine | undefined): RememberedRun | undefined {
  if (begun === undefined) return undefined;
  const known = runs.get(begun.place);
  return known?.run === begun.run ? known : undefined;
}

function later(one: Counts, other: Counts): Counts {
  return {
    log: Math.max(one.log, other.log),
    grown: Math.max(one.grown, other.grown),
    renamed: Math.max(one.renamed, other.renamed),
  };
}

function asTold({ run, boot, mount, told, beganAtMs, heardAtMs }: RememberedRun): WitnessedRun {
  return { run, boot, mount, told, seconds: Math.max(0, Math.round((heardAtMs - beganAtMs) / 1000)) };
}
