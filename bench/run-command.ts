// A command of the CLI on an installation, as a person would type it; what it printed.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Installation } from "./installation.ts";

const run = promisify(execFile);

export async function runCommand(installation: Installation, ...args: readonly string[]): Promise<string> {
  const { file, args: all } = installation.command(...args);
  const { stdout } = await run(file, [...all], { env: installation.env });
  return stdout;
}
