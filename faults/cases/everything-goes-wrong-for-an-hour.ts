// The soak: under load, processes are killed, sessions ended, connections cut, PostgreSQL and dispatchers stand still for
// seconds, one after the other and for long. Nothing may be lost or doubled, and neither memory nor the hot tables may
// grow: what is to grow is the history of what was sent.

import { setTimeout as sleep } from "node:timers/promises";
import { runCommand } from "../../bench/run-command.ts";
import { freezeServer } from "../../test/rig/freeze.ts";
import type { Fault } from "../fault.ts";
import { prepareHotBytes, readHotBytes, type HotBytes } from "../rig/books-store.ts";
import { seededDice } from "../rig/dice.ts";
import { bringUpCrashWorld, killTarget, type Target } from "../rig/kill-at-random.ts";
import { memoryOf, type MemorySample } from "../rig/memory-of.ts";
import { stopFor } from "../rig/stop-for.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import type { World } from "../rig/world.ts";

const MINUTE_MS = 60_000;
/** Of a full run: far below what the machine can do, so that what piles up is seen as such. */
const RATES = { transactionalPerS: 20, bulkPerS: 200 };
const PAUSE_MS_MAX = 12_000;
const SAMPLE_MS = 5000;
/** How often somebody decides about what is unknown, and how long what its relay may still be taking is waited for. */
const DECIDE_MS = 60_000;
const UNDER_WAY_MS = 5000;
/** Less is too short for a slope: the first minutes are for caches to fill and code to be compiled. */
const SLOPE_MINUTES_MIN = 20;
/** Between the second and the last quarter. What leaks grows without an end, and is far above it in an hour. */
const GROWTH_MAX = 0.15;

type Harm = { readonly name: string; readonly do: (world: World, dice: () => number) => Promise<unknown> };

const kill = (target: Target): Harm => ({
  name: `SIGKILL: ${target}`,
  do: (world, dice) => killTarget(world, target, dice),
});
const dispatcherOf = (lane: string): Harm => ({
  name: `${lane} dispatcher stands still for 4 s`,
  do: async (world) =>
    await stopFor(
      4000,
      world.installation.dispatchersOf(lane).map(({ pid }) => pid),
    ),
});

const HARMS: readonly Harm[] = [
  kill("bulk-dispatcher"),
  kill("transactional-dispatcher"),
  kill("agent"),
  kill("postmaster"),
  kill("backend"),
  kill("connections"),
  dispatcherOf("bulk"),
  dispatcherOf("transactional"),
  {
    name: "PostgreSQL stands still for 5 s",
    async do({ installation }) {
      const postmaster = await installation.postmasterPid();
      if (postmaster === undefined) return;
      const thaw = freezeServer(postmaster);
      await sleep(5000).finally(thaw);
    },
  },
];

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown", "lease", "apart"],
  what: "all of it mixed: kills, ended sessions, cut connections, a database and dispatchers that stand still",
  unit: "minutes",
  small: 1,
  full: 60,
  async run({ runs, isFull, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const rates = isFull ? { rates: RATES } : {};
    const world = await bringUpCrashWorld(scope, { name: "soak", say, ...rates, ledgersIn });
    const dice = seededDice(seed);
    await world.untilRecovered(wallMs());
    const samples = takeSamples(world);
    const decisions = decideUnknown(world);
    const beganAtMs = wallMs();
    for (let minute = 1; minute <= runs;) {
      await sleep(dice() * PAUSE_MS_MAX);
      const harm = HARMS[Math.floor(dice() * HARMS.length)]!;
      const [harmedAtMs, pausedMsBefore] = [wallMs(), world.pausedMs()];
      await harm.do(world, dice);
      const ms = (await world.untilRecovered(wallMs())) - harmedAtMs;
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      say(`minute ${minute} of ${runs}: ${harm.name}; mail again after ${Math.round(ms)} ms`);
      for (; wallMs() - beganAtMs >= minute * MINUTE_MS && minute <= runs; minute++) tally.ran();
    }
    const { accepted, resent } = await decisions.stop();
    tally.note(`of what was unknown, ${accepted} were accepted since they had arrived, and ${resent} sent again`);
    judgeGrowth(await samples.stop(), runs, tally);
    tally.judged(await world.judge());
    await world.stop();
    return tally.outcome();
  },
};

/**
 * As somebody does who has the relay's log: what arrived is accepted, what did not is sent again. Left alone, each unknown
 * row would keep a page of each index from being used again, and the tables grow by what nobody decides.
 */
function decideUnknown({ installation, look, receptions }: World): {
  stop(): Promise<{ readonly accepted: number; readonly resent: number }>;
} {
  const ending = new AbortController();
  let [accepted, resent] = [0, 0];
  const decide = async (verb: "accept" | "resend", ids: readonly string[]): Promise<number> => {
    if (ids.length > 0) await runCommand(installation, "unknown", verb, ...ids);
    return ids.length;
  };
  const decideOnce = async (): Promise<void> => {
    const { messages } = JSON.parse(await runCommand(installation, "unknown", "list", "--limit", "1000", "--json")) as {
      readonly messages: readonly { readonly id: string; readonly recipient: string }[];
    };
    await sleep(UNDER_WAY_MS);
    look();
    const arrived = new Set(receptions.map(({ recipient }) => recipient));
    const idsOf = (isArrived: boolean): readonly string[] =>
      messages.filter(({ recipient }) => arrived.has(recipient) === isArrived).map(({ id }) => id);
    accepted += await decide("accept", idsOf(true));
    resent += await decide("resend", idsOf(false));
  };
  const loop = (async () => {
    while (!ending.signal.aborted) {
      await sleep(DECIDE_MS, undefined, { signal: ending.signal }).catch(() => {});
      // The database may be away just now: then the next time.
      await decideOnce().catch(() => {});
    }
  })();
  return {
    async stop() {
      ending.abort();
      await loop;
      return { accepted, resent };
    },
  };
}

interface Sample {
  readonly memory: readonly MemorySample[];
  /** Of tables that hold what moves, and nothing of the past. */
  readonly hot: HotBytes | undefined;
}

function takeSamples(world: World): { stop(): Promise<readonly Sample[]> } {
  const samples: Sample[] = [];
  let isOver = false;
  const loop = (async () => {
    while ((await world.books.call(prepareHotBytes)).kind !== "committed") await sleep(SAMPLE_MS);
    while (!isOver) {
      const call = await world.books.call(readHotBytes);
      const hot = call.kind === "committed" ? call.value : undefined;
      samples.push({ memory: memoryOf(world.installation.folder, world.supervisor.pid), hot });
      await sleep(SAMPLE_MS);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await loop;
      return samples;
    },
  };
}

/**
 * By medians: a process that was killed begins anew, and one sample says little. The tables are judged by what they hold, and
 * told as a whole: each crash of PostgreSQL makes it forget which pages of its indexes are free until the next vacuum, so
 * that a hundred crashes in an hour make files grow in which there is less and less.
 */
function judgeGrowth(samples: readonly Sample[], minutes: number, tally: Tally): void {
  const quarter = (n: number): readonly Sample[] =>
    samples.slice(Math.floor((samples.length * (n - 1)) / 4), Math.floor((samples.length * n) / 4));
  const compare = (name: string, figureOf: (sample: Sample) => number | undefined, isJudged = true): void => {
    const [second, last] = [quarter(2), quarter(4)].map((some) => medianOf(some.flatMap((one) => figureOf(one) ?? [])));
    if (second === undefined || last === undefined) return;
    tally.note(`${name}: ${mb(second)} in the second quarter, ${mb(last)} in the last`);
    const growth = last / second - 1;
    if (!isJudged || minutes < SLOPE_MINUTES_MIN) return;
    tally.expect(growth <= GROWTH_MAX, `${name} grew by ${(growth * 100).toFixed(0)} %: ${mb(second)} to ${mb(last)}`);
  };
  for (const role of new Set(samples.flatMap(({ memory }) => memory.map((one) => one.role))))
    compare(`memory of ${role}`, ({ memory }) => memory.find((one) => one.role === role)?.rssBytes);
  compare("hot tables, but for empty pages of their indexes", ({ hot }) => hot && hot.total - hot.emptyPages);
  compare("hot tables as a whole", ({ hot }) => hot?.total, false);
}

function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
