// SIGKILL at random moments to whatever the dice say, in a world under steady load. After every kill it measures how long it
// takes until mail that was submitted after the kill arrives at the sink, on each lane that the kill concerned.

import { setTimeout as sleep } from "node:timers/promises";
import { processesOf, sendSignal } from "../../bench/running-processes.ts";
import { inScope, type Scope } from "../../test/rig/scope.ts";
import { seededDice } from "./dice.ts";
import type { RunVerdict } from "./judge-run.ts";
import { wallMs, type Lane } from "./submissions.ts";
import { bringUpWorld, LANES, type World, type WorldOptions } from "./world.ts";

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
  readonly verdict: RunVerdict;
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
  "front",
  "agent",
  "postmaster",
  "backend",
  "connections",
] as const;
export type Target = (typeof TARGETS)[number];

const CONCERNED: Readonly<Record<Target, readonly Lane[]>> = {
  "bulk-dispatcher": ["bulk"],
  "transactional-dispatcher": ["transactional"],
  supervisor: LANES,
  front: LANES,
  agent: LANES,
  postmaster: LANES,
  backend: LANES,
  connections: LANES,
};
/** How often each comes up, relative to the others: dispatchers most, since they hold what can be lost or doubled. */
const WEIGHTS: readonly (readonly [Target, number])[] = [
  ["bulk-dispatcher", 4],
  ["transactional-dispatcher", 2],
  ["supervisor", 2],
  ["front", 1],
  ["agent", 1],
  ["postmaster", 2],
  ["backend", 2],
  ["connections", 2],
];
/** Between a recovery and the next kill. */
const PAUSE_MS_MAX = 1200;
/** A target that is not there for this long will not come. */
const THERE_MS_MAX = 60_000;
const LOOK_MS = 5;

/** A gauge without a relay, for an agent that can be killed: the numbers of an empty queue. */
export const IDLE_GAUGE = `gauge: { type: command, command: ["echo", '{"queue": 0}'] }`;

export async function runCrash(options: CrashOptions): Promise<CrashReport> {
  return await inScope((scope) => Promise.race([wholeRun(scope, options), options.interrupted]));
}

async function wholeRun(scope: Scope, options: CrashOptions): Promise<CrashReport> {
  const { inFolder } = options;
  const world = await bringUpCrashWorld(scope, {
    name: "crash",
    say: options.say,
    isFull: true,
    ...(inFolder === undefined ? {} : { inFolder, ledgersIn: inFolder }),
  });
  const recoveries: Recovery[] = [];
  const killed = killAtRandom(world, options, (recovery) => recoveries.push(recovery));
  const brokenOff = await killed.then(() => undefined, describe);
  const judged = await world.judge();
  options.beforeRemoval?.(world.installation.folder);
  await world.stop();
  return { ...judged, recoveries, ...(brokenOff === undefined ? {} : { brokenOff }) };
}

/** With an agent. */
export async function bringUpCrashWorld(scope: Scope, options: WorldOptions): Promise<World> {
  return await bringUpWorld(scope, { ...options, outletConfig: IDLE_GAUGE });
}

export async function killAtRandom(
  world: World,
  { kills, seed, targets, say }: Pick<CrashOptions, "kills" | "seed" | "targets" | "say">,
  recovered: (recovery: Recovery) => void,
): Promise<void> {
  const dice = seededDice(seed);
  await world.untilRecovered(wallMs());
  for (let kill = 1; kill <= kills; kill++) {
    await sleep(dice() * PAUSE_MS_MAX);
    const target = pickTarget(dice(), targets);
    const pausedMsBefore = world.pausedMs();
    const killedAtMs = await killTarget(world, target, dice);
    const ms = (await world.untilRecovered(killedAtMs, CONCERNED[target])) - killedAtMs;
    const pausedMs = world.pausedMs() - pausedMsBefore;
    recovered({ kill, target, ms, isDisturbed: pausedMs > 0 });
    const disturbance = pausedMs > 0 ? `, but the machine itself was paused for ${Math.round(pausedMs)} ms` : "";
    say(`kill ${kill} of ${kills}: ${target}, mail again after ${Math.round(ms)} ms${disturbance}`);
  }
}

function pickTarget(chance: number, wanted: readonly Target[]): Target {
  const targets = WEIGHTS.filter(([target]) => wanted.includes(target));
  let left = chance * targets.reduce((sum, [, weight]) => sum + weight, 0);
  return (targets.find(([, weight]) => (left -= weight) < 0) ?? targets[0]!)[0];
}

/** Answers when it was killed. A target that is not there at this moment is waited for. */
export async function killTarget(world: World, target: Target, dice: () => number): Promise<number> {
  const { installation } = world;
  switch (target) {
    case "bulk-dispatcher":
      return await killWhenThere(() => newest(installation.dispatchersOf("bulk")));
    case "transactional-dispatcher":
      return await killWhenThere(() => newest(installation.dispatchersOf("transactional")));
    case "front":
    case "agent":
      return await killWhenThere(() => newest(processesOf(installation.folder).filter(isOf(target))));
    case "postmaster":
      return await killWhenThere(() => installation.postmasterPid());
    case "backend":
      return await killWhenThere(async () => pick(await installation.backendPids(), dice));
    case "supervisor": {
      const killedAtMs = wallMs();
      world.supervisor.kill();
      await world.upAgain();
      return killedAtMs;
    }
    case "connections": {
      const killedAtMs = wallMs();
      world.sink.cutConnections();
      return killedAtMs;
    }
  }
}

function isOf(name: string): (running: { readonly command: string }) => boolean {
  return ({ command }) => command.includes(`main.js ${name} `);
}

/** Of several, one that was left by a killed supervisor drains already; the one that was started last works. */
function newest(running: readonly { readonly pid: number }[]): number | undefined {
  return running.at(-1)?.pid;
}

function pick(pids: readonly number[], dice: () => number): number | undefined {
  return pids[Math.floor(dice() * pids.length)];
}

async function killWhenThere(find: () => number | undefined | Promise<number | undefined>): Promise<number> {
  for (const deadline = wallMs() + THERE_MS_MAX; ;) {
    const pid = await find();
    const killedAtMs = wallMs();
    if (pid !== undefined && sendSignal(pid, "SIGKILL")) return killedAtMs;
    if (killedAtMs > deadline) throw new Error("the process to kill was not there for a minute");
    await sleep(LOOK_MS);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
