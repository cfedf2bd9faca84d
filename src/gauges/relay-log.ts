// The relay's log on its way home: a step of lines is read, noted, and what it tells is committed together with the place
// where the step ended. So whoever is killed in between, and whenever, no line is lost and none acts twice. While the
// database is away nothing more is read: the log itself is the buffer, and what waits is one step.

import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { keepFromAgent, type AgentReturn } from "../returns/return-store.ts";
import { startFollowing, type LogPlace, type LogStep } from "./follow-log.ts";
import type { LogPosition } from "./log-position.ts";
import { advanceLogIfNext, holderOf, readAgent, type AgentIdentity } from "./reading-store.ts";
import type { RelayLines } from "./relay-lines.ts";
import type { RelayMemory } from "./relay-memory.ts";

export interface RelayLogSettings {
  readonly outlet: string;
  readonly identity: AgentIdentity;
  readonly file: string;
}

export interface RelayLogPorts {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly lines: RelayLines;
  readonly memory: RelayMemory;
}

export interface RelayLog {
  /** One step, or the one that could not be committed, again. What it throws leaves it as it was. */
  step(): Promise<RelayLogStep>;
  /** For people; undefined: all is well. */
  problem(): string | undefined;
  close(): Promise<void>;
}

export type RelayLogStep = LogStep["comes"];

/** The outlet has another agent now: this one has nothing more to say. */
export class AgentReplaced extends Error {
  readonly code = "agent_replaced";

  constructor(outlet: string, by: string | null) {
    super(`Outlet ${outlet} is measured by another agent now (${by ?? "none"}), so this one ends.`);
    this.name = "AgentReplaced";
  }
}

interface OpenStep {
  readonly position: LogPosition;
  readonly arrivals: readonly AgentReturn[];
  readonly comes: RelayLogStep;
}

/** A place without news is kept so often: after a restart no more than this is read again. */
const QUIET_COMMIT_MS = 1000;
/** How long people are told that lines were missed; `continuous_since` tells it for good. */
const MISSED_TOLD_MS = 10 * 60_000;

export async function openRelayLog(
  { outlet, identity, file }: RelayLogSettings,
  { pool, clock, log, lines, memory }: RelayLogPorts,
  kept: LogPosition | undefined,
): Promise<RelayLog> {
  const onHistory = (line: string): void => void lines.read(line, clock.wallMs());
  const { follower, begins, why } = await startFollowing(file, kept, clock, onHistory);
  log.info("log.opened", { file, begins, ...(why === undefined ? {} : { why }) });
  let number = kept?.number ?? 0;
  let place: LogPlace | undefined = kept;
  let continuousSince = begins === "where it stood" ? kept?.continuous_since : undefined;
  let committedAtMs = -Infinity;
  let waiting: OpenStep | undefined;
  let isMissing = false;
  let missed = begins === "anew" && kept !== undefined ? { reason: why, atMs: clock.monotonicMs() } : undefined;

  const read = async (): Promise<OpenStep | undefined> => {
    const step = await follower.step();
    isMissing = step === undefined;
    if (step === undefined) return undefined;
    if (step.missed !== undefined) noteMissed(step.missed);
    const arrivals = step.lines.flatMap((line) => lines.read(line, clock.wallMs()) ?? []);
    // Without a line there is no time of the log yet; nothing was missed since now.
    continuousSince ??= new Date(lines.firstAtMs ?? clock.wallMs()).toISOString();
    const position = { number: number + 1, ...step.place, continuous_since: continuousSince };
    return { position, arrivals, comes: step.comes };
  };
  const noteMissed = (reason: string): void => {
    log.warn("log.lines_missed", { file, reason });
    missed = { reason, atMs: clock.monotonicMs() };
    memory.linesMissed();
    continuousSince = new Date(clock.wallMs()).toISOString();
  };
  const isWorthIt = ({ position, arrivals }: OpenStep): boolean => {
    if (arrivals.length > 0) return true;
    const isSame = position.inode === place?.inode && position.offset === place.offset;
    return !isSame && clock.monotonicMs() - committedAtMs >= QUIET_COMMIT_MS;
  };
  const commit = async ({ position, arrivals }: OpenStep): Promise<void> => {
    await commitStep(pool, { outlet, identity, position, arrivals });
    ({ number } = position);
    place = position;
    committedAtMs = clock.monotonicMs();
  };

  return {
    async step() {
      waiting ??= await read();
      if (waiting === undefined) return "at end";
      if (isWorthIt(waiting)) await commit(waiting);
      const { comes } = waiting;
      waiting = undefined;
      return comes;
    },
    problem() {
      if (isMissing) return `the relay's log ${file} is not there`;
      const isRecent = missed !== undefined && clock.monotonicMs() - missed.atMs < MISSED_TOLD_MS;
      return isRecent ? `lines of the relay's log may have been missed: ${missed?.reason}` : undefined;
    },
    close: () => follower.close(),
  };
}

interface Step {
  readonly outlet: string;
  readonly identity: AgentIdentity;
  readonly position: LogPosition;
  readonly arrivals: readonly AgentReturn[];
}

/** Also when the COMMIT of an earlier try was not confirmed: the position tells whether it happened. */
async function commitStep(pool: Pool, { outlet, identity, position, arrivals }: Step): Promise<void> {
  const isNext = await inTransaction(pool, async (client) => {
    const advanced = await advanceLogIfNext(client, { outlet, identity, position });
    if (advanced) await keepFromAgent(client, arrivals);
    return advanced;
  });
  if (isNext) return;
  const row = await readAgent(pool, outlet);
  if (row?.holder !== holderOf(identity)) throw new AgentReplaced(outlet, row?.holder ?? null);
  const { log } = row.agent;
  // The same number alone would do if nobody but this process ever wrote; lines that are not kept must not look kept.
  if (log?.number !== position.number || log.inode !== position.inode || log.offset !== position.offset) {
    throw new Error(
      `the place in the log is step ${log?.number} at ${log?.offset}, and not ${position.number} at ${position.offset}`,
    );
  }
}
