// The folder that a run writes into, `postlane-witness` in the one that is tried, and reading what is left of it after a
// power cut. It is ours alone: beginning a run removes what an earlier one left there.

import { readFileSync } from "node:fs";
import { mkdir, open, rm, statfs } from "node:fs/promises";
import path from "node:path";

const NAME = "postlane-witness";

export function witnessedFolderIn(folder: string): string {
  return path.join(folder, NAME);
}

/** Three streams, 22 MB at most, and what else the disk is for. */
export const ROOM_BYTES_MIN = 64 * 1024 ** 2;

export async function hasRoomForRun(folder: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize >= ROOM_BYTES_MIN;
}

/** Empty, and durably there. */
export async function makeWitnessedFolder(folder: string): Promise<string> {
  const made = witnessedFolderIn(folder);
  await removeWitnessedFolder(folder);
  await mkdir(made, { mode: 0o700 });
  await syncFolder(folder);
  return made;
}

export async function removeWitnessedFolder(folder: string): Promise<void> {
  await rm(witnessedFolderIn(folder), { recursive: true, force: true });
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What is not there, and what the disk cannot read any more, is lost; that we may not read it says nothing of the disk. */
export function readWitnessedFile(folder: string, name: string): Buffer | undefined {
  try {
    return readFileSync(path.join(witnessedFolderIn(folder), name));
  } catch (error) {
    if (LOST.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** EUCLEAN and EBADMSG: the file system finds itself damaged (ext4, xfs, btrfs); Node has no name for the first. */
const LOST = new Set(["ENOENT", "ENOTDIR", "EISDIR", "EIO", "EBADMSG", "EUCLEAN", "Unknown system error -117"]);
