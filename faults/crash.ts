// `npm run crash -- --kills N [--seed S] [--targets LIST] [--json]`: kills real processes of a real Postlane under
// load, N times, and checks that nothing was lost and nothing doubled. Progress goes to standard error; with --json the
// last line of standard output is one JSON object. Exit code 1 when a message is lost, doubled, stuck or in no state.

import { cpSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { interruption } from "../bench/interruption.ts";
import { runCrash, TARGETS, type CrashReport } from "./rig/kill-at-random.ts";

const HELP = `Usage: npm run crash -- [--kills N] [--seed S] [--targets LIST] [--keep FOLDER] [--json]

  --kills N       how often something is killed (15)
  --seed S        repeats the choice of targets and pauses (random)
  --targets LIST  what is killed, separated by commas: ${TARGETS.join(", ")}
                  (all of them but connections, which are cut and not killed)
  --keep FOLDER   where a copy of logs, journals, database and ledger goes at the end
  --json          the last line is one JSON object
`;
const KILLS_MAX = 100_000;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "15" },
      seed: { type: "string" },
      targets: { type: "string", default: TARGETS.filter((target) => target !== "connections").join(",") },
      keep: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return say(HELP, 0);
  const kills = Number(values.kills);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!Number.isInteger(kills) || kills < 1 || kills > KILLS_MAX)
    return say(`--kills: a whole number from 1 to ${KILLS_MAX}`, 2);
  if (!Number.isInteger(seed)) return say("--seed: a whole number", 2);

  const targets = TARGETS.filter((target) => values.targets.split(",").includes(target));
  if (targets.length !== values.targets.split(",").length) return say(`--targets: some of ${TARGETS.join(", ")}`, 2);

  console.error(`crash: ${kills} kills, seed ${seed}`);
  const startedAt = performance.now();
  const report = await runCrash({
    kills,
    seed,
    targets,
    interrupted: interruption(),
    say: (line) => console.error(`crash: ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${line}`),
    beforeRemoval: (folder) => keep(folder, values.keep),
  });
  const seconds = (performance.now() - startedAt) / 1000;
  tellPeople(report);
  if (values.json) console.log(JSON.stringify({ ...figuresOf(report), seed, seconds: Math.round(seconds) }));
  return report.verdict.isClean && report.brokenOff === undefined ? 0 : 1;
}

function say(text: string, code: number): number {
  console.error(text);
  return code;
}

/** Without the sockets, which cannot be copied. */
function keep(folder: string, to: string | undefined): void {
  if (to === undefined) return;
  const isCopied = (source: string): boolean =>
    !source.includes(`${path.sep}socket`) && !source.includes("postmaster.");
  cpSync(folder, to, { recursive: true, dereference: true, filter: isCopied });
  console.error(`crash: kept in ${to}`);
}

function figuresOf({ verdict, recoveries, brokenOff }: CrashReport) {
  const undisturbed = recoveries.filter(({ isDisturbed }) => !isDisturbed);
  const sorted = undisturbed.map(({ ms }) => ms).toSorted((one, other) => one - other);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  const { accepted, lost, duplicates, unknown } = verdict;
  return {
    kills: recoveries.length,
    accepted,
    lost,
    duplicates,
    unknown,
    recovery_ms_p50: at(0.5),
    recovery_ms_p99: at(0.99),
    recovery_ms_max: at(1),
    recoveries_disturbed: recoveries.length - undisturbed.length,
    received: verdict.received,
    sent: verdict.byState["sent"] ?? 0,
    unknown_arrived: verdict.unknownArrived,
    waiting: verdict.waiting,
    ghosts: verdict.ghosts,
    not_in_one_state: verdict.notInOneState,
    is_balanced: verdict.isBalanced,
    targets: slowestByTarget(undisturbed),
    ...(brokenOff === undefined ? {} : { broken_off: brokenOff }),
  };
}

/** Kills and slowest recovery of each target. */
function slowestByTarget(recoveries: CrashReport["recoveries"]) {
  const targets: Record<string, { kills: number; recovery_ms_max: number }> = {};
  for (const { target, ms } of recoveries) {
    const sum = (targets[target] ??= { kills: 0, recovery_ms_max: 0 });
    sum.kills++;
    sum.recovery_ms_max = Math.max(sum.recovery_ms_max, Math.round(ms));
  }
  return targets;
}

function tellPeople({ verdict, recoveries, stories, brokenOff }: CrashReport): void {
  const { accepted, received, byState, lost, duplicates, unknown, unknownArrived, complaints } = verdict;
  const undisturbed = recoveries.filter(({ isDisturbed }) => !isDisturbed);
  const slowest = undisturbed.toSorted((one, other) => other.ms - one.ms)[0];
  console.error(
    `crash: ${accepted} accepted = ${Object.entries(byState)
      .map(([state, n]) => `${n} ${state}`)
      .join(" + ")}; ` +
      `${received} received; lost ${lost}, duplicates ${duplicates}; of the ${unknown} unknown, ${unknownArrived} had arrived`,
  );
  if (slowest !== undefined)
    console.error(`crash: slowest recovery ${Math.round(slowest.ms)} ms (kill ${slowest.kill}, ${slowest.target})`);
  for (const line of [...complaints, ...stories]) console.error(`crash: ${line}`);
  if (brokenOff !== undefined) console.error(`crash: broken off: ${brokenOff}`);
}

// What an interrupted run left under way must not keep the process.
process.exit(await main());
