// The real command line as a child process, against the database of a test, in an empty folder.

import assert from "node:assert/strict";
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { TestContext } from "node:test";
import type { TestDatabase } from "../rig/postgres.ts";

const MAIN = path.resolve(import.meta.dirname, "../../src/doors/cli/main.js");

export interface CommandEnd {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a command runs: the folder is both its working directory and its data directory. */
export interface CommandPlace {
  readonly dataDir: string;
  readonly databaseUrl?: string;
}

export function startCommand(place: CommandPlace, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawnCommand(place, args, env, ["pipe", "pipe", "pipe"]);
}

/** As a supervisor starts it: with a channel to it, and nothing to read. */
export function startSupervised(place: CommandPlace, args: readonly string[]): ChildProcess {
  return spawnCommand(place, args, {}, ["ignore", "pipe", "pipe", "ipc"]);
}

function spawnCommand(
  place: CommandPlace,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stdio: StdioOptions,
): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    cwd: place.dataDir,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      POSTLANE_DATA_DIR: place.dataDir,
      POSTLANE_LISTEN__HTTP: "127.0.0.1:0",
      POSTLANE_LISTEN__SMTP: "127.0.0.1:0",
      ...(place.databaseUrl === undefined ? {} : { DATABASE_URL: place.databaseUrl }),
      ...env,
    },
    stdio,
  });
}

export async function runCommand(place: CommandPlace, args: readonly string[], input = ""): Promise<CommandEnd> {
  const child = startCommand(place, args);
  const said = { stdout: "", stderr: "" };
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => (said.stdout += chunk));
  child.stderr!.setEncoding("utf8").on("data", (chunk: string) => (said.stderr += chunk));
  // A command that ends before it has read its input closes the pipe.
  child.stdin!.on("error", () => {}).end(input);
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, ...said };
}

/** Runs a command that must succeed, and reads its JSON document. */
export async function jsonOf<Shape>(place: CommandPlace, args: readonly string[]): Promise<Shape> {
  const { exitCode, stdout, stderr } = await runCommand(place, [...args, "--json"]);
  assert.equal(exitCode, 0, `${args.join(" ")}: ${stdout}${stderr}`);
  return JSON.parse(stdout) as Shape;
}

/** Calls `stop` when the test ends, if it still runs then. */
export function endWithTest(t: TestContext, child: ChildProcess): void {
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "close");
  });
}

/** Resolves when a line of its standard output, or of its log on standard error, matches. */
export async function lineOf(
  child: ChildProcess,
  pattern: RegExp,
  from: "stdout" | "stderr" = "stdout",
): Promise<string> {
  const stream = child[from]!;
  let said = "";
  return await new Promise((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString("utf8");
      const line = said.split("\n").find((candidate) => pattern.test(candidate));
      if (line === undefined) return;
      stream.off("data", hear);
      resolve(line);
    };
    stream.on("data", hear);
    child.once("close", () => reject(new Error(`it ended without ${String(pattern)}: ${said}`)));
  });
}

/** One email by the SQL door; answers the id of its first message. */
export async function enqueue({ pool }: TestDatabase, email: object = {}): Promise<string> {
  const given = { to: "ann@example.com", subject: "Hello", text: "Hello Ann", ...email };
  const { rows: submissions } = await pool.query<{ id: string }>("SELECT postlane.enqueue($1::jsonb) AS id", [
    JSON.stringify(given),
  ]);
  const { rows } = await pool.query<{ id: string }>(
    "SELECT 'msg_' || min(id) AS id FROM postlane.message WHERE submission_id = $1",
    [submissions[0]!.id.slice("sub_".length)],
  );
  return rows[0]!.id;
}
