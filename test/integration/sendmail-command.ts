// The sendmail program as its callers start it, with a spool of the test's own and a door to find.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Scope } from "../rig/scope.ts";

export const SENDMAIL = path.resolve(import.meta.dirname, "../../src/doors/sendmail/sendmail.js");
/** Nothing listens there, and nobody may without being root. */
export const NOBODY = "127.0.0.1:1";

export interface SendmailRig {
  readonly spool: string;
  readonly env: NodeJS.ProcessEnv;
  /** The files of this user, their kind without their names. */
  kept(): readonly string[];
}

export interface SendmailEnd {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function sendmailRig(scope: Scope, door: string, more: NodeJS.ProcessEnv = {}): SendmailRig {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-sendmail-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  const spool = path.join(folder, "spool");
  const own = path.join(spool, String(process.getuid!()));
  const env = { PATH: process.env["PATH"], HOME: folder, POSTLANE_SPOOL: spool, POSTLANE_SMTP: door, ...more };
  return {
    spool,
    env,
    kept: () => listed(own).map((name) => name.replace(/^(?:unfinished).*/, "unfinished").replace(/^.*\./, "")),
  };
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

export interface SendmailStart {
  readonly env: NodeJS.ProcessEnv;
  readonly user?: { readonly uid: number; readonly gid: number };
}

export function startSendmail({ env, user }: SendmailStart, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [SENDMAIL, ...args], { env, ...user, stdio: ["pipe", "pipe", "pipe"] });
}

export async function runSendmail(
  rig: SendmailStart,
  args: readonly string[],
  mail: string | Buffer,
): Promise<SendmailEnd> {
  const child = startSendmail(rig, args);
  return await endOf(child, mail);
}

export async function endOf(child: ChildProcess, input: string | Buffer): Promise<SendmailEnd> {
  const said = { stdout: "", stderr: "" };
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => (said.stdout += chunk));
  child.stderr!.setEncoding("utf8").on("data", (chunk: string) => (said.stderr += chunk));
  child.stdin!.on("error", () => {}).end(input);
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, ...said };
}
