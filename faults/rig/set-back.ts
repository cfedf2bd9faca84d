// A folder that is set back to what it was: copied while every process that writes to it stands still, as a snapshot of a
// volume or of a machine does it, and put back when they are gone. The copy lies outside of the installation.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { childrenOf, processesOf, sendSignal } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import type { World } from "./world.ts";

export interface Snapshot {
  /** Everything must have ended. */
  putBack(): void;
}

const GONE_MS_MAX = 30_000;
const LOOK_MS = 20;

/** `database`: the server's folder alone. `machine`: the data directory with all that is in it. */
export async function takeSnapshot(scope: Scope, world: World, of: "database" | "machine"): Promise<Snapshot> {
  const { dataDir } = world.installation;
  const folder = of === "machine" ? dataDir : realpathSync(path.join(dataDir, "postgres", "data"));
  const kept = mkdtempSync(path.join(os.tmpdir(), "postlane-snapshot-"));
  scope.after(() => rmSync(kept, { recursive: true, force: true }));
  chmodSync(kept, 0o711);
  const copy = path.join(kept, "copy");
  const frozen = await processesOfWorld(world);
  for (const pid of frozen) sendSignal(pid, "SIGSTOP");
  try {
    copyFolder(folder, copy);
  } finally {
    for (const pid of frozen) sendSignal(pid, "SIGCONT");
  }
  return {
    putBack() {
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
      copyFolder(copy, folder);
    },
  };
}

/** SIGKILL for all of them, the database server too. */
export async function killEverything(world: World): Promise<void> {
  const pids = await processesOfWorld(world);
  world.supervisor.kill();
  for (const pid of pids) sendSignal(pid, "SIGKILL");
  for (const deadline = performance.now() + GONE_MS_MAX; pids.some(isThere);) {
    if (performance.now() > deadline) throw new Error("a killed process stays");
    await sleep(LOOK_MS);
  }
}

/** The supervisor first and the server's children last, so that nobody starts or becomes another one meanwhile. */
async function processesOfWorld({ installation, supervisor }: World): Promise<readonly number[]> {
  const postmaster = await installation.postmasterPid();
  const server = postmaster === undefined ? [] : [postmaster, ...childrenOf(postmaster).map(({ pid }) => pid)];
  const ours = processesOf(installation.folder).map(({ pid }) => pid);
  return [...new Set([supervisor.pid, ...ours, ...server])];
}

/** What ended and was not yet waited for is a zombie, and gone. */
function isThere(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}

function copyFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`cp -a ${from}: ${stderr}`);
}
