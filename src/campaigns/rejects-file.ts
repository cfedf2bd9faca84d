// Rows of a list that could not be used, as a CSV beside it: line, reason, what stood there. Written under another name
// and renamed at the end, so that it is whole or not there.

import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { harmlessCell, quotedCell } from "../platform/csv-cell.ts";
import { isSystemError, refused, type CampaignRefused } from "./check-campaign.ts";

export interface Reject {
  readonly line: number;
  readonly reason: string;
  readonly raw: string;
}

export interface RejectsFile {
  add(rejects: readonly Reject[]): Promise<void>;
  /** The path, or undefined when nothing was rejected; an older file of that name is gone then. */
  finish(): Promise<string | undefined>;
  /** After `finish` it does nothing; before, the import has failed, and what was begun is removed. */
  abandon(): Promise<void>;
}

/** By default beside the list. */
export async function prepareRejects(
  list: string,
  file: string = `${list.replace(/\.csv$/i, "")}.rejects.csv`,
): Promise<RejectsFile | CampaignRefused> {
  if (path.resolve(file) === path.resolve(list)) return refused("list", ["the rejects file cannot be the list itself"]);
  try {
    return await openRejectsFile(file);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return refused("list", [`the rejects file ${file} cannot be written: ${error.message}`]);
  }
}

/** Throws when it could not be written, which is better known before the import than in the middle of it. */
async function openRejectsFile(place: string): Promise<RejectsFile> {
  const unfinished = `${place}.part`;
  const file = await open(unfinished, "w");
  let count = 0;
  return {
    async add(rejects) {
      if (rejects.length === 0) return;
      await file.writeFile((count === 0 ? "line,reason,raw\n" : "") + rejects.map(writeReject).join(""));
      count += rejects.length;
    },
    async finish() {
      await file.close();
      await (count === 0 ? removeBoth(place, unfinished) : rename(unfinished, place));
      return count === 0 ? undefined : place;
    },
    async abandon() {
      await closeQuietly(file);
      await rm(unfinished, { force: true });
    },
  };
}

function writeReject({ line, reason, raw }: Reject): string {
  return `${line},${quotedCell(reason)},${quotedCell(harmlessCell(raw))}\n`;
}

async function removeBoth(place: string, unfinished: string): Promise<void> {
  await rm(place, { force: true });
  await rm(unfinished, { force: true });
}

async function closeQuietly(file: FileHandle): Promise<void> {
  await file.close().catch(() => {});
}
