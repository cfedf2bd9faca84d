// `npm run faults -- [NAME…] [--full] [--json]`: does to a real Postlane what this field knows to go wrong, and has its
// witnesses judged. Progress goes to standard error; with --json the last line of standard output is one JSON object.
// Exit code 1 when something is not as promised. With --publish, docs/reference/guarantees.md is written anew.

import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { Interrupted, interruption } from "../bench/interruption.ts";
import { inScope } from "../test/rig/scope.ts";
import type { Fault, FaultOutcome } from "./fault.ts";
import { findFaults, type NamedFault } from "./find-faults.ts";
import { publish } from "./guarantees.ts";
import { emptyResult, type FaultResult } from "./fault-result.ts";
import { tryInProcess } from "./try-in-process.ts";
import { lackOf } from "./rig/tools.ts";

const HELP = `Usage: npm run faults -- [NAME…] [--full] [--json]

  NAME            only faults whose name contains one of these, and none that contains one behind a minus
  --full          as often as docs/reference/guarantees.md counts; hours, not minutes
  --runs N        so often, in place of the small or the full count
  --seed S        repeats the dice (random)
  --jobs N        so many at a time, each in a process of its own (1)
  --ledgers DIR   where the witnesses write, if not among temporary files: on another disk, say
  --publish       writes what was found into docs/reference/guarantees.md
  --list          only says what there is
  --json          the last line is one JSON object; with --whole, also what was seen beside the figures
`;
const RUNS_MAX = 1_000_000;
const JOBS_MAX = 64;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: "boolean", default: false },
      runs: { type: "string" },
      seed: { type: "string" },
      jobs: { type: "string", default: "1" },
      ledgers: { type: "string" },
      publish: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      whole: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return refuse(HELP, 0);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  if (!Number.isInteger(seed)) return refuse("--seed: a whole number", 2);
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1 && runs <= RUNS_MAX))
    return refuse(`--runs: a whole number from 1 to ${RUNS_MAX}`, 2);
  const jobs = Number(values.jobs);
  if (!(Number.isInteger(jobs) && jobs >= 1 && jobs <= JOBS_MAX))
    return refuse(`--jobs: a whole number from 1 to ${JOBS_MAX}`, 2);
  const found = await findFaults(positionals);
  if (found.length === 0) return refuse(`no fault's name contains ${positionals.join(" or ")}; see --list`, 2);
  if (values.list) return list(found);

  const trial: Trial = {
    ...(runs === undefined ? {} : { runs }),
    isFull: values.full,
    seed,
    interrupted: interruption(),
    ledgersIn: values.ledgers,
  };
  const results =
    jobs === 1
      ? await inTurn(found, 1, (named) => tryOne(named, trial))
      : await inTurn(found, jobs, ({ name }) => tryInProcess(name, optionsOf(trial), trial.interrupted));
  const commit = commitHere();
  if (values.publish) await publish(commit, results);
  if (values.json) console.log(JSON.stringify({ commit, results: values.whole ? results : results.map(figuresOf) }));
  return results.every(({ ok }) => ok) ? 0 : 1;
}

function refuse(text: string, code: number): number {
  console.error(text);
  return code;
}

function list(found: readonly NamedFault[]): number {
  for (const { name, fault } of found) {
    console.log(`${name}\n  ${fault.what} (${fault.small} ${fault.unit}; full: ${fault.full})`);
  }
  return 0;
}

/** So many at a time, each told when it is over; answers in the order of the list. */
async function inTurn(
  found: readonly NamedFault[],
  jobs: number,
  tryIt: (named: NamedFault) => Promise<FaultResult>,
): Promise<readonly FaultResult[]> {
  const results: FaultResult[] = [];
  const waiting = [...found.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, named] = next;
      const result = await tryIt(named);
      results[index] = result;
      tellPeople(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

function optionsOf({ runs, isFull, seed, ledgersIn }: Trial): readonly string[] {
  return [
    `--seed=${seed}`,
    ...(isFull ? ["--full"] : []),
    ...(runs === undefined ? [] : [`--runs=${runs}`]),
    ...(ledgersIn === undefined ? [] : [`--ledgers=${ledgersIn}`]),
  ];
}

interface Trial {
  readonly runs?: number;
  readonly isFull: boolean;
  readonly seed: number;
  readonly interrupted: Promise<never>;
  readonly ledgersIn?: string | undefined;
}

async function tryOne({ name, fault }: NamedFault, trial: Trial): Promise<FaultResult> {
  const lack = lackOf(fault.needs ?? []);
  if (lack !== undefined) return skippedResult(name, lack.sentence, lack.isProgram && isEverythingRequired());
  const runs = trial.runs ?? (trial.isFull ? fault.full : fault.small);
  const beganAt = performance.now();
  const say = (line: string): void =>
    console.error(`${name}: ${((performance.now() - beganAt) / 1000).toFixed(1)} s: ${line}`);
  say(`${runs} ${fault.unit}, seed ${trial.seed}`);
  const { isFull, seed, ledgersIn } = trial;
  const outcome = await inScope((scope) =>
    Promise.race([fault.run({ runs, isFull, seed, scope, say, ledgersIn }), trial.interrupted]),
  ).catch((error: unknown) => brokenOff(error));
  return {
    ...judgeOutcome(name, fault, outcome, { runs, isFull }),
    seconds: Math.round((performance.now() - beganAt) / 1000),
  };
}

/** A fault that could not go on to its end has shown nothing; only an interruption ends the others, too. */
function brokenOff(error: unknown): FaultOutcome {
  if (error instanceof Interrupted) throw error;
  const complaints = [`broken off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
  return { runs: 0, accepted: 0, lost: 0, duplicates: 0, unknown: 0, recoveriesMs: [], complaints, notes: [] };
}

function isEverythingRequired(): boolean {
  return process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1";
}

function skippedResult(name: string, skipped: string, isFailure: boolean): FaultResult {
  console.error(`SKIPPED: ${name}: ${skipped}`);
  return { ...emptyResult(name, !isFailure), skipped };
}

function judgeOutcome(
  name: string,
  fault: Fault,
  outcome: FaultOutcome,
  { runs, isFull }: { readonly runs: number; readonly isFull: boolean },
): FaultResult {
  const { recoveriesMs, complaints, notes, ...counts } = outcome;
  const slowest = recoveriesMs.length === 0 ? null : Math.round(Math.max(...recoveriesMs));
  const { recoveryMsMax = Infinity } = fault;
  const missed = [
    ...(counts.runs < runs ? [`only ${counts.runs} of ${runs} ${fault.unit} were made`] : []),
    ...(isFull && (slowest ?? 0) > recoveryMsMax
      ? [`mail moved again after ${slowest} ms at the latest, and ${recoveryMsMax} ms are promised`]
      : []),
  ];
  const all = [...complaints, ...missed];
  return {
    name,
    ok: all.length === 0,
    ...counts,
    recovery_ms_max: slowest,
    skipped: null,
    complaints: all,
    notes,
    seconds: 0,
  };
}

function figuresOf({ name, ok, runs, accepted, lost, duplicates, unknown, ...result }: FaultResult) {
  const { recovery_ms_max, skipped, complaints } = result;
  const figures = { name, ok, runs, accepted, lost, duplicates, unknown, recovery_ms_max, skipped };
  return complaints.length === 0 ? figures : { ...figures, complaints };
}

function tellPeople({ name, ok, complaints, notes, skipped, ...figures }: FaultResult): void {
  if (skipped !== null) return;
  const { runs, accepted, lost, duplicates, unknown, recovery_ms_max: slowest, seconds } = figures;
  console.error(
    `${ok ? "held" : "BROKEN"}: ${name}: ${runs} runs, ${accepted} accepted, lost ${lost}, duplicates ${duplicates}, ` +
      `unknown ${unknown}${slowest === null ? "" : `, slowest recovery ${slowest} ms`} (${seconds} s)`,
  );
  for (const line of [...notes, ...complaints.map((sentence) => `! ${sentence}`)]) console.error(`  ${line}`);
}

/** With a plus when there is more than was committed. */
function commitHere(): string {
  const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
  try {
    const isChanged = git("status", "--porcelain", "--", "src", "faults", "bench", "test", "package-lock.json") !== "";
    return `${git("rev-parse", "--short=12", "HEAD")}${isChanged ? "+" : ""}`;
  } catch {
    return "unknown";
  }
}

// What an interrupted run left under way must not keep the process.
process.exit(await main());
