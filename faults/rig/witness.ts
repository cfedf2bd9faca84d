// Both halves of `postlane doctor disk --witness` as real processes, on this one machine: a witness, a writer on the disk that
// is tried, and the comparison after its power was cut. Since only the disk lost its power, the comparison is shown another
// boot id, in a mount namespace of its own.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Scope } from "../../test/rig/scope.ts";
import type { Tool } from "./tools.ts";

/** For a comparison after another boot. */
export const COMPARE_TOOLS: readonly Tool[] = ["may-unshare"];

export interface Witness {
  readonly address: string;
  readonly token: string;
  /** Its own data directory. */
  readonly folder: string;
  readonly child: ChildProcess;
}

export interface Comparison {
  readonly exitCode: number | null;
  readonly verdict: string;
  readonly reason: string | null;
  readonly findings: readonly string[];
  readonly losses: Readonly<Record<string, { readonly missing: number; readonly torn: number }>> | null;
}

const MAIN = path.resolve(import.meta.dirname, "../../src/doors/cli/main.js");
const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const LOOK_MS = 20;
const STEP_MS_MAX = 60_000;

export async function startWitness(scope: Scope): Promise<Witness> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-witness-"));
  const child = start(folder, ["witness", "--listen", "127.0.0.1:0", "--json"]);
  scope.after(async () => {
    await kill(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const { listening, token } = JSON.parse(await firstLineOf(child)) as { listening: string; token: string };
  return { address: listening, token, folder, child };
}

/** Resolves when the witness was told of at least so many records. */
export async function startWriter(
  scope: Scope,
  witness: Witness,
  disk: string,
  recordsMin: number,
): Promise<ChildProcess> {
  const child = start(witness.folder, diskArgs(witness, disk), witness.token);
  scope.after(() => kill(child));
  const { run } = JSON.parse(await firstLineOf(child)) as { run: string };
  for (const deadline = performance.now() + STEP_MS_MAX; toldOf(witness, run) < recordsMin; await sleep(LOOK_MS)) {
    if (performance.now() > deadline) throw new Error(`the witness did not hear of ${recordsMin} records`);
  }
  return child;
}

/** `bootId`: the machine's own, if none is given. */
export function compareDisk(witness: Witness, disk: string, bootId?: string): Comparison {
  const command = [process.execPath, MAIN, "doctor", ...diskArgs(witness, disk), "--compare"];
  const file = path.join(witness.folder, "boot-id");
  writeFileSync(file, `${bootId}\n`);
  const wrapped =
    bootId === undefined
      ? command
      : ["unshare", "--mount", "sh", "-c", `mount --bind "$0" ${BOOT_ID} && exec "$@"`, file, ...command];
  const { status, stdout, stderr } = spawnSync(wrapped[0]!, wrapped.slice(1), {
    cwd: witness.folder,
    env: environment(witness.folder, witness.token),
    encoding: "utf8",
  });
  try {
    return { ...(JSON.parse(stdout) as Omit<Comparison, "exitCode">), exitCode: status };
  } catch {
    throw new Error(`the comparison ended with ${status}: ${stdout}${stderr}`);
  }
}

/** Writes, cuts, restores, compares: as the guide says, but for the machine, which stays up. */
export async function tryDisk(
  scope: Scope,
  given: {
    readonly witness: Witness;
    readonly volume: { readonly folder: string; cut(): Promise<void>; restore(): Promise<void> };
    readonly recordsMin: number;
  },
): Promise<Comparison> {
  const { witness, volume, recordsMin } = given;
  const writer = await startWriter(scope, witness, volume.folder, recordsMin);
  await volume.cut();
  if (writer.exitCode === null && writer.signalCode === null) await once(writer, "close");
  await volume.restore();
  return compareDisk(witness, volume.folder, "the-boot-after-the-power-cut");
}

function diskArgs({ address }: Witness, disk: string): readonly string[] {
  return ["disk", disk, "--witness", address, "--json"];
}

function start(folder: string, args: readonly string[], token?: string): ChildProcess {
  return spawn(process.execPath, [MAIN, "doctor", ...args], {
    cwd: folder,
    env: environment(folder, token),
    stdio: ["ignore", "pipe", "ignore"],
    // Ctrl-C reaches us alone.
    detached: true,
  });
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "close");
}

function environment(dataDir: string, token?: string): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, POSTLANE_DATA_DIR: dataDir, ...(token === undefined ? {} : { POSTLANE_WITNESS_TOKEN: token }) };
}

async function firstLineOf(child: ChildProcess): Promise<string> {
  let said = "";
  for await (const chunk of child.stdout!.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    said += chunk as string;
    if (said.includes("\n")) {
      child.stdout!.resume();
      return said.split("\n")[0]!;
    }
  }
  throw new Error("the doctor ended without a word");
}

function toldOf({ folder }: Witness, run: string): number {
  const { runs } = JSON.parse(readFileSync(path.join(folder, "witness.json"), "utf8")) as {
    readonly runs: readonly { readonly run: string; readonly told: Readonly<Record<string, number>> }[];
  };
  const told = runs.find((known) => known.run === run)?.told ?? {};
  return Object.values(told).reduce((sum, count) => sum + count, 0);
}
