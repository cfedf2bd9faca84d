// Starts and stops an instance of Postfix, as root; for tests and benchmarks, since in earnest that is the operator's.
// What Postfix says without a terminal stands in its log alone, so that is told when it fails.

import { readFile } from "node:fs/promises";
import { readableText } from "../readable-text.ts";
import { runCommand } from "../run-command.ts";

/** Throws with what Postfix says, in its log too, when it does not start. */
export async function startInstance(configDir: string): Promise<void> {
  await runVerb(configDir, "start");
}

/** What was being delivered is finished; whoever is connected is cut off. */
export async function stopInstance(configDir: string): Promise<void> {
  await runVerb(configDir, "stop");
}

async function runVerb(configDir: string, verb: "start" | "stop"): Promise<void> {
  const { code, stderr } = await runCommand("postfix", ["-c", configDir, verb]);
  if (code === 0) return;
  const said = [stderr.trim(), await lastLogLines(configDir)].filter(Boolean).join("\n");
  throw new Error(`postfix -c ${configDir} ${verb} failed: ${said === "" ? "it says nothing" : readableText(said)}`);
}

const LOG_LINES_TOLD = 5;

/** Without a terminal, Postfix says why only in its log. */
async function lastLogLines(configDir: string): Promise<string> {
  const { stdout } = await runCommand("postconf", ["-c", configDir, "-xh", "maillog_file"]);
  const log = await readFile(stdout.trim(), "utf8").catch(() => "");
  return log.trimEnd().split("\n").slice(-LOG_LINES_TOLD).join("\n");
}
