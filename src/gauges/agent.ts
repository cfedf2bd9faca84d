// The agent beside a relay: once a second a reading, and between them the relay's log, its failure notices and evidence
// for unknown messages. Each runs in a loop of its own, so that a disk or a command that stands still stops none but
// itself; all of them get through a database that is away, with bounded memory, and catch up. Two agents never write
// for one outlet: who finds that another one has taken it over ends.

import type { Pool } from "pg";
import type { RelayReading } from "../mail/reading.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { createPauses } from "../platform/pauses.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { keepFromAgent } from "../returns/return-store.ts";
import { createMaildirEmptier } from "./empty-maildir.ts";
import { createEvidenceFinder, type EvidenceFinder, type EvidenceReturn } from "./find-evidence.ts";
import type { FsyncProbe } from "./fsync-probe.ts";
import { createLatest } from "./latest.ts";
import type { LogPosition } from "./log-position.ts";
import { readMachine, type MachinePorts } from "./machine-gauge.ts";
import { readOpenQuestions } from "./question-store.ts";
import { leaveReading, readAgent, writeReadingIfHeld, type AgentIdentity } from "./reading-store.ts";
import type { RelayGauge } from "./relay-gauge.ts";
import { AgentReplaced, openRelayLog, type RelayLog } from "./relay-log.ts";
import { createRelayLines, type RelayLinesSettings } from "./relay-lines.ts";
import { createRelayMemory } from "./relay-memory.ts";

export interface AgentSettings {
  readonly outlet: string;
  readonly identity: AgentIdentity;
  /** A folder on the spool's disk; absent: nothing is known of a disk. */
  readonly spool?: string;
  /** Of a Postfix that logs to a file. */
  readonly followed?: FollowedLog;
  /** Where the relay delivers failure notices, and the name by which it reports. */
  readonly maildir?: { readonly folder: string; readonly reportingMta: string };
  /** What is known from the start to be amiss, for people. */
  readonly problems: readonly string[];
}

interface FollowedLog extends Omit<RelayLinesSettings, "outlet"> {
  readonly file: string;
  readonly queueDirectory: string;
  /** Where the agent before this one had come to. */
  readonly kept?: LogPosition;
}

export interface AgentPorts {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly machine: MachinePorts;
  readonly measureRelay: RelayGauge;
  readonly fsync?: FsyncProbe;
}

export interface Agent {
  /** Rejects when it cannot go on; resolves after `stop`. */
  readonly ended: Promise<void>;
  stop(): void;
}

const READING_MS = 1000;
/** A measurement that takes longer is waited for in the next round. */
const MEASURE_MS_MAX = 2000;
const LOG_MS = 200;
const MAILDIR_MS = 1000;
/** After files could not be deleted: nothing but a person mends that. */
const MAILDIR_FAILED_MS = 60_000;
const EVIDENCE_MS = 1500;
const QUESTIONS_PAGE = 500;
const ANSWERED_MAX = 10_000;
/** A step is at most 96 KB, so this is a log that grows faster than it can be read. */
const CATCH_UP_STEPS_MAX = 1000;
const BACK_OFF_FIRST_MS = 250;
const BACK_OFF_MS_MAX = 5000;

export function startAgent(settings: AgentSettings, ports: AgentPorts): Agent {
  const { clock, log } = ports;
  const life = createLife(clock, log);
  const problems = new Map<string, string>();
  const followLog = settings.followed === undefined ? undefined : createLogWork(settings, settings.followed, ports);
  const work = [
    life.every("reading", createReadingWork(settings, ports, problems)),
    ...(followLog === undefined ? [] : [life.every("log", followLog.turn(problems))]),
    ...(settings.maildir === undefined
      ? []
      : [life.every("maildir", createMaildirWork(settings, settings.maildir, ports, problems))]),
  ];
  const ended = Promise.all(work).then(async () => {
    await followLog?.close();
    await ports.fsync?.stop();
    await leaveReading(ports.pool, settings.outlet, settings.identity).catch(() => {});
  });
  return { ended, stop: life.end };
}

/** One round; answers when the next one is due. */
type Work = () => Promise<number>;

interface Life {
  every(name: string, work: Work): Promise<void>;
  readonly end: () => void;
}

/** What fails is tried again, ever more seldom; only an agent that was replaced ends. */
function createLife(clock: Clock, log: Log): Life {
  const pauses = createPauses(clock);
  return {
    async every(name, work) {
      let failures = 0;
      while (!pauses.isEnded) {
        try {
          const pauseMs = await work();
          failures = 0;
          await pauses.wait(pauseMs);
        } catch (error) {
          if (error instanceof AgentReplaced) {
            pauses.end();
            throw error;
          }
          log.warn("agent.failed", { work: name, error: error instanceof Error ? error.message : String(error) });
          await pauses.wait(Math.min(BACK_OFF_MS_MAX, BACK_OFF_FIRST_MS * 2 ** failures));
          failures += 1;
        }
      }
    },
    end: () => pauses.end(),
  };
}

// ---- readings --------------------------------------------------------------------------------------------------------

function createReadingWork(settings: AgentSettings, ports: AgentPorts, problems: ReadonlyMap<string, string>): Work {
  const { pool, clock, log, fsync } = ports;
  const relay = createLatest("the relay's queue", ports.measureRelay, clock);
  const machine = createLatest("the machine", () => readMachine(settings.spool, ports.machine), clock);
  let wasSaid = "";
  return async () => {
    const beganAtMs = clock.monotonicMs();
    const [queue, around] = await Promise.all([relay.measure(MEASURE_MS_MAX), machine.measure(MEASURE_MS_MAX)]);
    const body = assemble(settings, [queue, around], fsync, [...problems.values()]);
    const uses = queue.kind === "measured" ? (queue.value.queue_source ?? null) : null;
    const state = { ...settings.identity, uses };
    const at = await writeReadingIfHeld(pool, { outlet: settings.outlet, state, body });
    if (at === undefined) {
      throw new AgentReplaced(settings.outlet, (await readAgent(pool, settings.outlet))?.holder ?? null);
    }
    const said = (body.problems ?? []).join("; ");
    if (said !== wasSaid) log.warn("reading.problems", { problems: body.problems ?? [] });
    wasSaid = said;
    return Math.max(0, READING_MS - (clock.monotonicMs() - beganAtMs));
  };
}

/** Figures beyond the fourth digit mean nothing and make each row another one. */
const rounded = (ms: number): number => Math.round(ms * 100) / 100;

const PROBLEMS_MAX = 10;
const PROBLEM_CHARS_MAX = 500;

function assemble(
  settings: AgentSettings,
  measured: readonly (
    | { readonly kind: "measured"; readonly value: RelayReading }
    | { readonly kind: "missing"; readonly problem: string }
  )[],
  fsync: FsyncProbe | undefined,
  standing: readonly string[],
): RelayReading {
  const { fsyncMs, usualMs, problem } = fsync?.read() ?? {};
  const values = measured.flatMap((one) => (one.kind === "measured" ? [one.value] : []));
  const problems = [
    ...settings.problems,
    ...measured.flatMap((one) => (one.kind === "missing" ? [one.problem] : (one.value.problems ?? []))),
    ...(problem === undefined ? [] : [problem]),
    ...standing,
  ];
  return {
    ...Object.assign({}, ...values),
    ...(fsyncMs === undefined ? {} : { fsync_ms: rounded(fsyncMs) }),
    ...(usualMs === undefined ? {} : { fsync_usual_ms: rounded(usualMs) }),
    problems: problems.slice(0, PROBLEMS_MAX).map((text) => text.slice(0, PROBLEM_CHARS_MAX)),
  };
}

// ---- log and evidence ------------------------------------------------------------------------------------------------

interface LogWork {
  turn(problems: Map<string, string>): Work;
  close(): Promise<void>;
}

/** One loop for both: what evidence says of the log must not change while it is judged. */
function createLogWork(settings: AgentSettings, followed: FollowedLog, ports: AgentPorts): LogWork {
  const { pool, clock } = ports;
  const { outlet, identity } = settings;
  const memory = createRelayMemory(followed.tokenOf);
  const lines = createRelayLines({ ...followed, outlet }, memory);
  let relayLog: RelayLog | undefined;
  let evidenceAtMs = -Infinity;
  const open = (): Promise<RelayLog> =>
    openRelayLog({ outlet, identity, file: followed.file }, { ...ports, lines, memory }, followed.kept);
  const catchUp = async (): Promise<boolean> => {
    for (let steps = 0; steps < CATCH_UP_STEPS_MAX; steps++) {
      const comes = await relayLog?.step();
      if (comes !== "more") return comes === "at end";
    }
    return false;
  };
  const find = createEvidenceFinder({
    outlet,
    memory,
    queueDirectory: followed.queueDirectory,
    tokenOf: followed.tokenOf,
    wallMs: clock.wallMs,
    catchUp,
  });
  const lookForEvidence = createEvidenceWork(outlet, pool, find);
  return {
    turn: (problems) => async () => {
      try {
        relayLog ??= await open();
      } catch (error) {
        problems.set("log", `the relay's log cannot be followed: ${(error as Error).message}`);
        throw error;
      }
      const comes = await relayLog.step();
      tell(problems, "log", relayLog.problem());
      if (comes === "more") return 0;
      if (comes === "at end" && clock.monotonicMs() - evidenceAtMs >= EVIDENCE_MS) {
        await lookForEvidence();
        evidenceAtMs = clock.monotonicMs();
      }
      return LOG_MS;
    },
    close: async () => await relayLog?.close(),
  };
}

function tell(problems: Map<string, string>, key: string, problem: string | undefined): void {
  if (problem === undefined) problems.delete(key);
  else problems.set(key, problem);
}

function createEvidenceWork(outlet: string, pool: Pool, find: EvidenceFinder): () => Promise<void> {
  /** What was answered and may not have been judged yet. To answer again is harmless. */
  const answered = new Set<string>();
  const keyOf = ({ message_id, attempt }: Pick<EvidenceReturn, "message_id" | "attempt">): string =>
    `${message_id}/${attempt}`;
  let after = 0;
  return async () => {
    const page = await readOpenQuestions(pool, outlet, { after, limit: QUESTIONS_PAGE });
    after = page.length < QUESTIONS_PAGE ? 0 : page.at(-1)!.message_id;
    const open = page.filter((question) => !answered.has(keyOf(question)));
    const arrivals = await find(open);
    if (arrivals.length === 0) return;
    await inTransaction(pool, (client) => keepFromAgent(client, arrivals));
    if (answered.size > ANSWERED_MAX) answered.clear();
    for (const { body } of arrivals) answered.add(keyOf(body as EvidenceReturn));
  };
}

// ---- failure notices -------------------------------------------------------------------------------------------------

function createMaildirWork(
  { outlet }: AgentSettings,
  { folder, reportingMta }: NonNullable<AgentSettings["maildir"]>,
  { pool }: AgentPorts,
  problems: Map<string, string>,
): Work {
  const emptier = createMaildirEmptier({ outlet, folder, reportingMta });
  return async () => {
    try {
      const { isMore, problem } = await emptier.emptySome(async (arrivals) => {
        await inTransaction(pool, (client) => keepFromAgent(client, arrivals));
      });
      tell(problems, "maildir", problem);
      if (problem !== undefined) return MAILDIR_FAILED_MS;
      return isMore ? 0 : MAILDIR_MS;
    } catch (error) {
      problems.set("maildir", `failure notices cannot be brought home: ${(error as Error).message}`);
      throw error;
    }
  };
}
