// `postlane doctor --json` as a child process, and what it found.

import { runCommand, type CommandPlace } from "./cli-command.ts";

export interface DoctorAnswer {
  readonly exitCode: number | null;
  readonly worst: string;
  readonly nothing_leaves: readonly { readonly outlet: string }[];
  readonly findings: readonly {
    readonly code: string;
    readonly level: string;
    readonly check: string;
    readonly found: string;
    readonly remedy: string;
    readonly figures: Readonly<Record<string, string | number>>;
  }[];
  readonly checks: readonly { readonly name: string; readonly state: string; readonly took_ms: number }[];
  readonly codes: readonly string[];
}

export async function askDoctor(place: CommandPlace, words: readonly string[] = []): Promise<DoctorAnswer> {
  const { exitCode, stdout, stderr } = await runCommand(place, ["doctor", ...words, "--json"]);
  if (!stdout.startsWith("{")) throw new Error(`no document: ${stdout}${stderr}`);
  const answer = JSON.parse(stdout) as Omit<DoctorAnswer, "exitCode" | "codes">;
  return { ...answer, exitCode, codes: answer.findings.map(({ code }) => code) };
}
