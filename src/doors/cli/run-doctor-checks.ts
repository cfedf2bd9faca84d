// `postlane doctor`: the surroundings that its checks are given, what is printed, and the exit code. What is judged stands
// in src/doctor.

import net from "node:net";
import tls from "node:tls";
import { gravestFirst, entryOf, type Finding } from "../../doctor/finding.ts";
import { examine, examineWithoutConfig, type Examination } from "../../doctor/examine.ts";
import type { CheckEnd } from "../../doctor/run-checks.ts";
import type { TlsWish } from "../../doctor/surroundings.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { sessionsNeeded } from "../../platform/session-limits.ts";
import { EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, harmless } from "./printing.ts";
import { capturesInUse, readConfig, type CaptureFolder } from "./read-config.ts";

export interface DoctorOptions extends CommonOptions {
  readonly strict?: boolean;
}

/** Exit code 1: there is a problem; with --strict, or a warning. */
export async function runDoctorChecks(options: DoctorOptions): Promise<number> {
  const output = createOutput(options);
  const read = tryReadConfig(options);
  const captures = "config" in read ? capturesInUse(read.config) : [];
  for (const { outlet, dir } of captures) {
    output.print(`nothing leaves this machine: outlet ${outlet} keeps mail in ${dir}\n`);
  }
  const examination =
    "config" in read ? await examine(surroundingsOf(read.config), timeLeft()) : examineWithoutConfig(read.error);
  output.answer(documentOf(examination, captures));
  print(output, examination);
  const isBad = examination.worst === "problem" || (options.strict === true && examination.worst === "warning");
  return isBad ? EXIT_FAILED : EXIT_DONE;
}

/** The whole stays below 10 s, also where a busy machine takes seconds to start a program. */
const DOCTOR_MS_MAX = 9000;
/** Below that, checks would be late that only have to connect. */
const CHECKS_MS_MIN = 4000;

/** The monotonic clock of a process begins with it. */
function timeLeft(): number {
  return Math.max(CHECKS_MS_MIN, DOCTOR_MS_MAX - systemClock.monotonicMs());
}

function tryReadConfig(options: CommonOptions): { readonly config: Config } | { readonly error: unknown } {
  try {
    return { config: readConfig(options) };
  } catch (error) {
    return { error };
  }
}

function surroundingsOf(config: Config): Parameters<typeof examine>[0] {
  return {
    config,
    clock: systemClock,
    uid: process.getuid?.() ?? -1,
    connectionsNeeded: sessionsNeeded(config),
    connect: (host, port) => net.connect({ host, port }),
    startTls: (socket, { host, servername, ca, isVerified }: TlsWish) =>
      tls.connect({
        socket,
        host,
        rejectUnauthorized: isVerified,
        ...(servername === undefined ? {} : { servername }),
        ...(ca === undefined ? {} : { ca }),
      }),
  };
}

function documentOf({ checks, findings, worst }: Examination, captures: readonly CaptureFolder[]): object {
  const checkOf = new Map(checks.flatMap((check) => check.findings.map((one) => [one, check.name])));
  return {
    at: new Date().toISOString(),
    nothing_leaves: captures,
    worst,
    findings: gravestFirst(findings).map((one) => ({
      code: one.code,
      level: entryOf(one).level,
      check: checkOf.get(one) ?? null,
      found: one.found,
      means: entryOf(one).means,
      remedy: remedyOf(one),
      figures: one.figures,
    })),
    checks: checks.map(({ name, state, why, tookMs, findings: found }) => ({
      name,
      state,
      ...(why === undefined ? {} : { why }),
      took_ms: tookMs,
      findings: found.length,
    })),
  };
}

const remedyOf = (one: Finding): string => one.remedy ?? entryOf(one).remedy;

function print(output: Output, { checks, findings }: Examination): void {
  for (const one of gravestFirst(findings)) for (const line of linesOf(one)) output.print(line);
  if (findings.length > 0) output.print("");
  for (const line of endOf(checks)) output.print(line);
  output.print(sumLine(findings));
}

function linesOf(one: Finding): readonly string[] {
  const { level, means } = entryOf(one);
  return [
    `${level.padEnd(LEVEL_CHARS)}${harmless(one.found)}  [${one.code}]`,
    `${" ".repeat(LEVEL_CHARS)}${means}`,
    `${" ".repeat(LEVEL_CHARS)}→ ${harmless(remedyOf(one))}`,
  ];
}

const LEVEL_CHARS = "problem".length + 2;

function endOf(checks: readonly CheckEnd[]): readonly string[] {
  const well = checks.filter(({ state, findings }) => state === "looked" && findings.length === 0);
  const left = checks.filter(({ state }) => state === "not_made");
  return [
    ...(well.length === 0 ? [] : [`all right: ${namesOf(well)}`]),
    ...whysOf(left).map((why) => `not looked at, for ${why}: ${namesOf(left.filter((one) => one.why === why))}`),
  ];
}

const whysOf = (checks: readonly CheckEnd[]): readonly string[] => [...new Set(checks.flatMap(({ why }) => why ?? []))];
const namesOf = (checks: readonly CheckEnd[]): string => checks.map(({ name }) => name).join(", ");

function sumLine(findings: readonly Finding[]): string {
  const count = (level: string): number => findings.filter((one) => entryOf(one).level === level).length;
  if (findings.length === 0) return "nothing found";
  return ["problem", "warning", "note"]
    .filter((level) => count(level) > 0)
    .map((level) => countOf(count(level), level))
    .join(", ");
}
