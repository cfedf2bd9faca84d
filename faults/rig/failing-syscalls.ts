// Makes system calls of a PostgreSQL that runs fail, by strace: of its processes, and of those that it starts from now on.
// When strace is let go, it leaves them as they are.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { childrenOf } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { pathOf } from "./tools.ts";

export interface FailingCalls {
  /** Calls work again; resolves when nobody is traced any more. */
  letGo(): Promise<void>;
}

const ATTACHED_MS_MAX = 20_000;

/** `call`: "fdatasync:error=EIO:when=3", by strace's manual: the third of each process. */
export async function failCalls(scope: Scope, postmasterPid: number, call: string): Promise<FailingCalls> {
  const pids = [postmasterPid, ...childrenOf(postmasterPid).map(({ pid }) => pid)];
  // What is not traced is not made to fail either.
  const traced = `trace=${call.slice(0, call.indexOf(":"))}`;
  const args = [
    "-f",
    "-o",
    "/dev/null",
    "-e",
    traced,
    "-e",
    `inject=${call}`,
    ...pids.flatMap((pid) => ["-p", String(pid)]),
  ];
  const strace = spawn(pathOf("strace"), args, { stdio: ["ignore", "ignore", "pipe"] });
  const letGo = async (): Promise<void> => {
    if (hasEnded(strace)) return;
    const ended = once(strace, "exit");
    strace.kill("SIGTERM");
    await ended;
  };
  scope.after(letGo);
  const end = (): void => void strace.kill("SIGTERM");
  process.once("exit", end);
  strace.once("exit", () => process.removeListener("exit", end));
  await attached(strace, postmasterPid);
  return { letGo };
}

/** The postmaster is the first that it attaches to; of the others one may have ended meanwhile. */
async function attached(strace: ChildProcess, pid: number): Promise<void> {
  let said = "";
  const isAttached = new Promise<true>((resolve) => {
    strace.stderr!.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4000);
      if (said.includes(`Process ${pid} attached`)) resolve(true);
    });
  });
  const failed = once(strace, "exit").then(() => false);
  const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), ATTACHED_MS_MAX).unref());
  if (!(await Promise.race([isAttached, failed, late]))) throw new Error(`strace does not attach: ${said.trim()}`);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
