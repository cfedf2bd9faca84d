// Makes all checks at once and bounds them in time: what hangs becomes a finding, and holds up no other check. A check
// that is late is not waited for; whoever started this ends the process. Decides nothing about findings.

import type { Clock } from "../platform/clock.ts";
import { finding, type Finding } from "./finding.ts";

export interface Check {
  readonly name: string;
  readonly look: () => Promise<Look>;
}

export type Look =
  | { readonly kind: "looked"; readonly findings: readonly Finding[] }
  /** What it needs is not there; that is a finding of another check. */
  | { readonly kind: "not_made"; readonly why: string };

export interface CheckEnd {
  readonly name: string;
  readonly state: "looked" | "not_made" | "late" | "failed";
  readonly why?: string;
  readonly tookMs: number;
  readonly findings: readonly Finding[];
}

export const looked = (findings: readonly Finding[]): Look => ({ kind: "looked", findings });
export const notMade = (why: string): Look => ({ kind: "not_made", why });

export async function runChecks(checks: readonly Check[], clock: Clock, msMax: number): Promise<readonly CheckEnd[]> {
  return await Promise.all(checks.map((check) => runCheck(check, clock, msMax)));
}

async function runCheck({ name, look }: Check, clock: Clock, msMax: number): Promise<CheckEnd> {
  const beganAtMs = clock.monotonicMs();
  const end = await endOf(name, look, clock, msMax);
  return { name, ...end, tookMs: Math.round(clock.monotonicMs() - beganAtMs) };
}

async function endOf(
  name: string,
  look: Check["look"],
  clock: Clock,
  msMax: number,
): Promise<Omit<CheckEnd, "name" | "tookMs">> {
  try {
    const answer = await withinTime(look(), clock, msMax);
    if (answer === "late") return { state: "late", findings: [lateFinding(name, msMax)] };
    if (answer.kind === "not_made") return { state: "not_made", why: answer.why, findings: [] };
    return { state: "looked", findings: answer.findings };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { state: "failed", findings: [finding("check_failed", `${name}: ${problem}`, { check: name })] };
  }
}

function lateFinding(name: string, msMax: number): Finding {
  return finding("check_late", `${name}: no answer within ${(msMax / 1000).toFixed(1)} s`, {
    check: name,
    limit_ms: Math.round(msMax),
  });
}

/** What comes after its time is dropped, be it an answer or an error. */
export async function withinTime<T>(work: Promise<T>, clock: Clock, msMax: number): Promise<T | "late"> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = clock.after(msMax, () => resolve("late"));
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}
