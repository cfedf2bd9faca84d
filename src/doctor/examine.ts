// Everything that `postlane doctor` looks at, and what came of it. Starts nothing, changes nothing, and ends in time
// whatever hangs. A configuration that is wrong is findings too; then only what needs none is looked at.

import { ConfigError, printProblem, type ConfigProblem } from "../platform/config-error.ts";
import type { Level } from "./catalogue-entry.ts";
import { databaseChecks } from "./database-checks.ts";
import { openGate } from "./database-gate.ts";
import { engineChecks } from "./engine-checks.ts";
import { finding, worstOf, type Finding } from "./finding.ts";
import { machineChecks } from "./machine-checks.ts";
import { relayChecks } from "./relay-checks.ts";
import { runChecks, type Check, type CheckEnd } from "./run-checks.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Examination {
  readonly checks: readonly CheckEnd[];
  readonly findings: readonly Finding[];
  readonly worst: Level | "ok";
}

/** `msMax`: for all checks together. */
export async function examine(around: Surroundings, msMax: number): Promise<Examination> {
  const gate = openGate(around);
  const ends = await runChecks(checksOf(around, gate), around.clock, msMax);
  // Of a gate that hangs nobody waits for the end.
  void gate.then(({ close }) => close()).catch(() => {});
  return sumUp(ends);
}

function checksOf(around: Surroundings, gate: ReturnType<typeof openGate>): readonly Check[] {
  return [
    ...databaseChecks(around, gate),
    ...engineChecks(around, gate),
    ...relayChecks(around, gate),
    ...machineChecks(around),
  ];
}

/** Where the configuration could not be read: `error` is what reading it has thrown. */
export function examineWithoutConfig(error: unknown): Examination {
  if (!(error instanceof ConfigError)) throw error;
  const findings = error.problems.map((problem) =>
    finding(codeOf(problem), printProblem(problem), { key: problem.key }),
  );
  return sumUp([{ name: "configuration", state: "looked", tookMs: 0, findings }]);
}

/** Problems tell the system's code of a file that could not be read. */
function codeOf({ found }: ConfigProblem): "config_unreadable" | "config_invalid" {
  return /\((?:EACCES|EPERM)\)/.test(found) ? "config_unreadable" : "config_invalid";
}

function sumUp(checks: readonly CheckEnd[]): Examination {
  const findings = checks.flatMap((check) => check.findings);
  return { checks, findings, worst: worstOf(findings) };
}
