// A disk whose power can be cut: an ext4 in a file, behind a block device with a volatile cache of its own. `cut` kills the
// cache: what was not flushed is gone, as on a disk with honest flushes; a disk that lies answers flushes and keeps
// nothing. Then the journal of the file system is replayed and the same disk is back. Assumes the tools `CUT_TOOLS`.
//
//   folder ─ ext4 ─ loop device ─ nbdfuse (a file) ─ nbdkit with its cache ─ disk.img

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { pathOf, type Tool } from "./tools.ts";
import { createTurns } from "./turns.ts";

export const CUT_TOOLS: readonly Tool[] = ["nbdkit", "nbdfuse", "mkfs", "may-loop"];

export interface CutVolume {
  /** Where the disk is mounted; the same before and after a cut. Others may pass through it. */
  readonly folder: string;
  /** Kills whoever has a file open in it, and the power. What was not flushed is gone. */
  cut(): Promise<void>;
  /**
   * The same disk, after `cut`: repaired as at any boot, and mounted again. `isLying`: from now on it is honest, or lies;
   * what it had kept before stays.
   */
  restore(more?: Pick<VolumeOptions, "isLying">): Promise<void>;
}

export interface VolumeOptions {
  readonly megabytes: number;
  /** It answers a flush and keeps nothing. */
  readonly isLying?: boolean;
}

const STEP_MS_MAX = 10_000;
const LOOK_MS = 10;

export async function makeCutVolume(scope: Scope, options: VolumeOptions): Promise<CutVolume> {
  let { isLying = false } = options;
  const home = mkdtempSync(path.join(os.tmpdir(), "postlane-volume-"));
  chmodSync(home, 0o711);
  const image = path.join(home, "disk.img");
  const folder = path.join(home, "disk");
  mkdirSync(folder);
  run("truncate", "-s", `${options.megabytes}M`, image);
  run(pathOf("mkfs"), "-q", image);
  let devices = 0;
  let current: Attached | undefined;

  const attach = async (): Promise<void> => {
    current = await attachDisk(path.join(home, `device-${++devices}`), image, isLying);
    run("mount", current.loop, folder);
    chmodSync(folder, 0o711);
  };
  const cut = async (): Promise<void> => {
    const attached = current;
    if (attached === undefined) return;
    current = undefined;
    // The power goes first: whoever still writes writes into nothing.
    attached.nbdkit.kill("SIGKILL");
    await killUsers(folder);
    run("umount", "--lazy", folder);
    await attached.detach();
  };
  const restore = async (more: Pick<VolumeOptions, "isLying"> = {}): Promise<void> => {
    ({ isLying = isLying } = more);
    const { status, stdout } = spawnSync("e2fsck", ["-p", image], { encoding: "utf8" });
    // 1: errors were corrected. More than that, and the disk is no witness any more.
    if (status === null || status > 1) throw new Error(`e2fsck ended with ${status}: ${stdout}`);
    await attach();
  };
  const turns = createTurns();
  scope.after(async () => {
    await turns.end(cut);
    rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  });
  await turns.take(attach);
  return { folder, cut: () => turns.take(cut), restore: (more) => turns.take(() => restore(more)) };
}

interface Attached {
  readonly nbdkit: ChildProcess;
  readonly loop: string;
  detach(): Promise<void>;
}

async function attachDisk(folder: string, image: string, isLying: boolean): Promise<Attached> {
  mkdirSync(folder);
  const socket = path.join(folder, "socket");
  const mount = path.join(folder, "fuse");
  mkdirSync(mount);
  const cache = `cache=${isLying ? "unsafe" : "writeback"}`;
  const nbdkit = quiet(pathOf("nbdkit"), "--foreground", "--unix", socket, "--filter=cache", "file", image, cache);
  await until(() => existsSync(socket), "nbdkit did not begin");
  const fuse = quiet(pathOf("nbdfuse"), mount, `nbd+unix:///?socket=${socket}`);
  const file = path.join(mount, "nbd");
  await until(() => existsSync(file), "nbdfuse did not begin");
  const loop = run("losetup", "--find", "--show", file);
  return {
    nbdkit,
    loop,
    async detach() {
      await until(() => spawnSync("losetup", ["--detach", loop]).status === 0, `${loop} stays`);
      fuse.kill("SIGKILL");
      spawnSync("umount", ["--lazy", mount]);
      await until(() => !isRunning(fuse) && !isRunning(nbdkit), "the device stays");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** It says on its death what everybody knows: that the device is gone. */
function quiet(program: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { stdio: "ignore" });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
  return child;
}

function run(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  return stdout.trim();
}

async function until(isSo: () => boolean, complaint: string): Promise<void> {
  for (const deadline = performance.now() + STEP_MS_MAX; !isSo();) {
    if (performance.now() > deadline) throw new Error(complaint);
    await sleep(LOOK_MS);
  }
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

/** Again and again: one of them may have begun another while we looked. */
async function killUsers(folder: string): Promise<void> {
  const kill = (): boolean => {
    const users = usersOf(folder);
    for (const pid of users) sendSignal(pid, "SIGKILL");
    return users.length === 0;
  };
  await until(kill, `processes still work in ${folder}`);
}

/** Processes with a file or their working directory in a folder. */
function usersOf(folder: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => linksOf(`/proc/${name}`).some((target) => target === folder || target.startsWith(`${folder}/`)))
    .map(Number);
}

function linksOf(folder: string): readonly string[] {
  try {
    const descriptors = readdirSync(`${folder}/fd`).map((name) => `${folder}/fd/${name}`);
    return [`${folder}/cwd`, ...descriptors].flatMap((link) => {
      try {
        return [readlinkSync(link)];
      } catch {
        return [];
      }
    });
  } catch {
    return []; // It ended while we looked.
  }
}
