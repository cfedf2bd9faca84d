#!/usr/bin/env node
// The command `postlane`: reads the arguments, runs one command, says what went wrong in one sentence. Exit codes: 0 done,
// 1 failed or refused, 2 called wrongly. What a command needs is loaded when it runs, so that --help is quick.

import { CommanderError } from "commander";
import { EXIT_DONE, EXIT_USAGE, explainFailure } from "./command-failure.ts";
import { createProgram } from "./program.ts";

// A reader that has seen enough (`postlane unknown list | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT_DONE);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2));
// What was under way when it failed (timers, connections, the supervisor's channel) must not keep the process: a
// dispatcher that could not go on would be taken for one that hangs, and be started again only half a minute later.
if (process.exitCode !== EXIT_DONE) process.exit();

async function runCommandLine(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_DONE;
  try {
    const program = createProgram((code) => (exitCode = code));
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    const isJson = args.includes("--json");
    if (error instanceof CommanderError) return endUsage(error, isJson);
    return sayFailure(error, isJson);
  }
}

/** Help and version come here too. People have been told already. */
function endUsage({ exitCode, message }: CommanderError, isJson: boolean): number {
  if (exitCode === 0) return EXIT_DONE;
  if (isJson) sayJson("usage", message.replace(/^error: /, ""));
  return EXIT_USAGE;
}

function sayJson(code: string, message: string): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
}

function sayFailure(error: unknown, isJson: boolean): number {
  const { exitCode, code, message } = explainFailure(error);
  if (isJson) sayJson(code, message);
  else process.stderr.write(`postlane: ${message}\n`);
  if (process.env["POSTLANE_DEBUG"] !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}
