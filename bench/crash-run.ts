// A crash run: a whole Postlane under steady load, and SIGKILL at random moments to whatever the dice say. After every
// kill it measures how long it takes until mail that was submitted after the kill arrives at the sink, on each lane that
// the kill concerned. At the end everything is drained, and site, books and ledger are laid beside each other.
//
// Both lanes hold what is unknown, so that no second hand-over has an excuse.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inScope, type Scope } from "../test/rig/scope.ts";
import { judgeRun, type CrashVerdict } from "./crash-check.ts";
import { readBooks, readDepth, readStory, type QueueDepth } from "./crash-store.ts";
import { startSubmissions, wallMs, type Lane, type Submissions } from "./crash-submissions.ts";
import { makeInstallation, type Installation, type Supervisor } from "./installation.ts";
import { watchForPauses } from "./pause-watch.ts";
import { sendSignal } from "./running-processes.ts";
import { openLedger, type LedgerReader, type Reception } from "./sink-ledger.ts";
import { openSiteDatabase, type SiteDatabase } from "./site-database.ts";
import { startTruthSink, type TruthSink } from "./truth-sink.ts";

export interface CrashOptions {
  readonly kills: number;
  /** Repeats the choice of targets and pauses. What the machine does in between, it cannot repeat. */
  readonly seed: number;
  /** What may be killed; at least one. */
  readonly targets: readonly Target[];
  readonly say: (line: string) => void;
  /** Rejects when the run is to end before its end; what it made is removed then, too. */
  readonly interrupted: Promise<never>;
  /** Where its temporary folder is made, if not with the others. */
  readonly inFolder?: string;
  /** While everything still runs; the folder is gone afterwards. */
  readonly beforeRemoval?: (folder: string) => void;
}

export interface CrashReport {
  readonly verdict: CrashVerdict;
  readonly recoveries: readonly Recovery[];
  /** Why the run could not go on to its end; absent when it did. */
  readonly brokenOff?: string;
  /** What happened to the messages that are complained about. */
  readonly stories: readonly string[];
}

export interface Recovery {
  readonly kill: number;
  readonly target: Target;
  readonly ms: number;
  /** The machine itself was paused meanwhile: the figure counts for nothing. */
  readonly isDisturbed: boolean;
}

export const TARGETS = [
  "bulk-dispatcher",
  "transactional-dispatcher",
  "supervisor",
  "postmaster",
  "backend",
  "connections",
] as const;
export type Target = (typeof TARGETS)[number];

const LANES: readonly Lane[] = ["transactional", "bulk"];
const CONCERNED: Readonly<Record<Target, readonly Lane[]>> = {
  "bulk-dispatcher": ["bulk"],
  "transactional-dispatcher": ["transactional"],
  supervisor: LANES,
  postmaster: LANES,
  backend: LANES,
  connections: LANES,
};
/** How often each comes up, relative to the others: dispatchers most, since they hold what can be lost or doubled. */
const WEIGHTS: readonly (readonly [Target, number])[] = [
  ["bulk-dispatcher", 4],
  ["transactional-dispatcher", 2],
  ["supervisor", 2],
  ["postmaster", 2],
  ["backend", 2],
  ["connections", 2],
];
/**
 * So much that messages are in every stage of the road at any moment, and so little that two cores that somebody else
 * uses too can follow: what a backlog costs is not what is measured here.
 */
const RATES = { transactionalPerS: 50, bulkPerS: 600 } as const;
/** Between a recovery and the next kill. */
const PAUSE_MS_MAX = 1200;
/** A lane that is silent for this long after a kill does not come back: the run is broken off. */
const RECOVERY_MS_MAX = 60_000;
/** Outlets and destinations that failed are left alone for 15 s; then what waits has to move. */
const STUCK_MS = 60_000;
const LOOK_MS = 5;
const DRAIN_LOOK_MS = 50;
const LOOKS_PER_LINE = 100;
const SINK_NAME = "sink";

export async function runCrash(options: CrashOptions): Promise<CrashReport> {
  return await inScope((scope) => Promise.race([wholeRun(scope, options), options.interrupted]));
}

async function wholeRun(scope: Scope, options: CrashOptions): Promise<CrashReport> {
  const run = await bringUp(scope, options);
  const recoveries: Recovery[] = [];
  const brokenOff = await killAndRecover(run, recoveries).catch((error: unknown) => describe(error));
  await run.submissions.stop();
  await drain(run, options.say);
  const report = await judge(run);
  options.beforeRemoval?.(run.installation.folder);
  await run.stop();
  return { ...report, recoveries, ...(brokenOff === undefined ? {} : { brokenOff }) };
}

interface Run {
  readonly options: CrashOptions;
  readonly installation: Installation;
  readonly sink: TruthSink;
  readonly ledger: LedgerReader;
  readonly receptions: Reception[];
  readonly submissions: Submissions;
  /** The harness's own look into the books. */
  readonly books: SiteDatabase;
  supervisor: Supervisor;
  /** How many of the receptions were looked at for signs of recovery. */
  looked: number;
  /** How long the machine was paused so far. */
  pausedMs(): number;
  stop(): Promise<void>;
}

async function bringUp(scope: Scope, options: CrashOptions): Promise<Run> {
  const installation = makeInstallation(scope, "crash", options.inFolder);
  const sink = await startTruthSink(path.join(installation.folder, "ledger"));
  scope.after(() => sink.stop());
  installation.configure(configFor(sink.port));
  const supervisor = await installation.up();
  const ledger = openLedger(sink.ledgerFile);
  scope.after(() => ledger.close());
  const books = openSiteDatabase(installation.dataDir);
  scope.after(() => books.close());
  const receptions: Reception[] = [];
  const submissions = startSubmissions(installation.dataDir, RATES, () => {
    readLedger({ ledger, receptions });
    return receptions.length;
  });
  scope.after(() => submissions.stop());
  options.say(
    `up: both lanes into the sink on port ${sink.port}, ${RATES.bulkPerS + RATES.transactionalPerS} messages a second`,
  );
  const run: Run = {
    options,
    installation,
    sink,
    ledger,
    receptions,
    submissions,
    books,
    supervisor,
    looked: 0,
    pausedMs: watchForPauses(scope),
    async stop() {
      const code = await run.supervisor.stop();
      if (code !== 0) throw new Error(`postlane up ended with ${code}:\n${run.supervisor.printed()}`);
    },
  };
  return run;
}

function configFor(port: number): string {
  return `
from: "Crash run <crash@sender.example>"
lanes:
  transactional: { outlets: [${SINK_NAME}], unknown: hold, retry: ["1 s"] }
  bulk: { outlets: [${SINK_NAME}], unknown: hold, retry: ["1 s"] }
outlets:
  ${SINK_NAME}: { type: smtp, hosts: ["127.0.0.1:${port}"], tls: "off", helo_name: crash.example }
`;
}

// ---- kills -----------------------------------------------------------------------------------------------------------

async function killAndRecover(run: Run, recoveries: Recovery[]): Promise<undefined> {
  const { options } = run;
  const random = seeded(options.seed);
  await untilRecovered(run, wallMs(), LANES);
  for (let kill = 1; kill <= options.kills; kill++) {
    await sleep(random() * PAUSE_MS_MAX);
    const target = pickTarget(random(), options.targets);
    const pausedMsBefore = run.pausedMs();
    const killedAtMs = await killTarget(run, target, random);
    const ms = (await untilRecovered(run, killedAtMs, CONCERNED[target])) - killedAtMs;
    const pausedMs = run.pausedMs() - pausedMsBefore;
    recoveries.push({ kill, target, ms, isDisturbed: pausedMs > 0 });
    const disturbance = pausedMs > 0 ? `, but the machine itself was paused for ${Math.round(pausedMs)} ms` : "";
    options.say(`kill ${kill} of ${options.kills}: ${target}, mail again after ${Math.round(ms)} ms${disturbance}`);
  }
  return undefined;
}

function pickTarget(chance: number, wanted: readonly Target[]): Target {
  const targets = WEIGHTS.filter(([target]) => wanted.includes(target));
  let left = chance * targets.reduce((sum, [, weight]) => sum + weight, 0);
  return (targets.find(([, weight]) => (left -= weight) < 0) ?? targets[0]!)[0];
}

/** Answers when it was killed. A target that is not there at this moment is waited for. */
async function killTarget(run: Run, target: Target, random: () => number): Promise<number> {
  const { installation } = run;
  switch (target) {
    case "bulk-dispatcher":
      return await killWhenThere(() => newest(installation.dispatchersOf("bulk")));
    case "transactional-dispatcher":
      return await killWhenThere(() => newest(installation.dispatchersOf("transactional")));
    case "postmaster":
      return await killWhenThere(() => installation.postmasterPid());
    case "backend":
      return await killWhenThere(async () => pick(await installation.backendPids(), random));
    case "supervisor": {
      const killedAtMs = wallMs();
      run.supervisor.kill();
      run.supervisor = await installation.up();
      return killedAtMs;
    }
    case "connections": {
      const killedAtMs = wallMs();
      run.sink.cutConnections();
      return killedAtMs;
    }
  }
}

/** Of several, one that was left by a killed supervisor drains already; the one that was started last works. */
function newest(dispatchers: readonly { readonly pid: number }[]): number | undefined {
  return dispatchers.at(-1)?.pid;
}

function pick(pids: readonly number[], random: () => number): number | undefined {
  return pids[Math.floor(random() * pids.length)];
}

async function killWhenThere(find: () => number | undefined | Promise<number | undefined>): Promise<number> {
  for (const deadline = wallMs() + RECOVERY_MS_MAX; ;) {
    const pid = await find();
    const killedAtMs = wallMs();
    if (pid !== undefined && sendSignal(pid, "SIGKILL")) return killedAtMs;
    if (killedAtMs > deadline) throw new Error("the process to kill was not there for a minute");
    await sleep(LOOK_MS);
  }
}

/** When, on each of the lanes, a message arrived that was submitted after `sinceMs`: the latest of these moments. */
async function untilRecovered(run: Run, sinceMs: number, lanes: readonly Lane[]): Promise<number> {
  const arrivals = new Map<Lane, number>();
  for (;;) {
    readLedger(run);
    for (; run.looked < run.receptions.length; run.looked++) {
      const reception = run.receptions[run.looked]!;
      const lane = run.submissions.laneOf(reception.recipient);
      const isNew = (run.submissions.begunAtMs(reception.recipient) ?? 0) >= sinceMs;
      if (isNew && !arrivals.has(lane)) arrivals.set(lane, reception.atMs);
    }
    if (lanes.every((lane) => arrivals.has(lane))) return Math.max(...lanes.map((lane) => arrivals.get(lane)!));
    if (wallMs() > sinceMs + RECOVERY_MS_MAX + run.pausedMs())
      throw new Error(`no mail ${RECOVERY_MS_MAX / 1000} s after a kill`);
    await Promise.race([sleep(LOOK_MS), run.supervisor.unexpectedEnd]);
  }
}

function readLedger(run: Pick<Run, "ledger" | "receptions">): void {
  for (const reception of run.ledger.next()) run.receptions.push(reception);
}

// ---- the end ---------------------------------------------------------------------------------------------------------

/** Until nothing can move any more. What does not move for a long time, though it could, the judge will find. */
async function drain(run: Run, say: (line: string) => void): Promise<void> {
  let [leastMoving, movedAtMs] = [Infinity, wallMs()];
  for (let looks = 0; ; looks++) {
    const call = await run.books.call(readDepth);
    if (call.kind === "committed") {
      const { moving, claimed } = call.value;
      if (moving === 0 && claimed === 0) return say(`drained: ${printDepth(call.value)}`);
      if (moving < leastMoving) [leastMoving, movedAtMs] = [moving, wallMs()];
      if (looks % LOOKS_PER_LINE === 0) say(`draining: ${printDepth(call.value)}`);
    }
    if (wallMs() > movedAtMs + STUCK_MS) return say(`NOT drained: nothing has moved for ${STUCK_MS / 1000} s`);
    await sleep(DRAIN_LOOK_MS);
  }
}

function printDepth({ moving, claimed, unknown }: QueueDepth): string {
  return `${moving} can move, ${claimed} claimed, ${unknown} unknown`;
}

async function judge(run: Run): Promise<Pick<CrashReport, "verdict" | "stories">> {
  const call = await run.books.call(async (client) => {
    const { entries, balance } = await readBooks(client);
    readLedger(run);
    const { submissions, receptions } = run;
    const verdict = judgeRun({ site: submissions.site, books: entries, receptions, balance });
    const stories: string[] = [];
    for (const id of verdict.accused) stories.push(`msg_${id}: ${await readStory(client, id)}`);
    return { verdict, stories };
  });
  if (call.kind !== "committed") throw new Error(`the books cannot be read at the end: ${call.kind}`);
  return call.value;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** mulberry32: small, and the same on every machine. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
