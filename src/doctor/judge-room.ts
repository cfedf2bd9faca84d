// Whether a disk has room, by the same limits at which Postlane takes no more mail and slows down a relay, and what happens
// when there is none. Pure.

import { DISK_FREE_BYTES_MIN, DISK_FREE_SHARE_MIN } from "../mail/reading.ts";
import { printSize } from "../platform/quantities.ts";

export interface RoomFigures {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Null: this file system counts none (btrfs, say). */
  readonly freeInodes: number | null;
}

/** What lies on the disk; several may. */
export type DiskUse = "database" | "data" | "spool" | "named";

export interface Room extends RoomFigures {
  readonly freeBytesMin: number;
  readonly freeInodesMin: number;
  readonly isShort: boolean;
  readonly findings: readonly string[];
}

/** Each mail in a relay's spool is a file, and so is each of a burst before anybody can come and look. */
const FREE_INODES_MIN = 10_000;
/** Bulk is refused at twice the limit; see upkeep/intake.ts. */
const BULK_TIMES = 2;

/** `queueFreeBytesMin`: `queue.min_free_disk`. */
export function judgeRoom(figures: RoomFigures, uses: readonly DiskUse[], queueFreeBytesMin: number): Room {
  const isQueueHere = uses.includes("database");
  const relayMin = Math.max(DISK_FREE_BYTES_MIN, DISK_FREE_SHARE_MIN * figures.totalBytes);
  const freeBytesMin = Math.ceil(
    Math.max(isQueueHere ? queueFreeBytesMin : 0, uses.includes("spool") ? relayMin : DISK_FREE_BYTES_MIN),
  );
  const isShortOfBytes = figures.freeBytes < freeBytesMin;
  const isShortOfInodes = figures.freeInodes !== null && figures.freeInodes < FREE_INODES_MIN;
  const isShort = isShortOfBytes || isShortOfInodes;
  return {
    ...figures,
    freeBytesMin,
    freeInodesMin: FREE_INODES_MIN,
    isShort,
    findings: [
      ...(isShortOfBytes
        ? [
            `Short of room: ${printMegabytes(figures.freeBytes)} free, and ${printMegabytes(freeBytesMin)} are the least.`,
          ]
        : []),
      ...(isShortOfInodes
        ? [`Short of inodes: ${figures.freeInodes} free, and ${FREE_INODES_MIN} are the least.`]
        : []),
      ...(isShort ? uses.map((use) => WHEN_FULL[use]) : []),
      ...(!isShort && isQueueHere && figures.freeBytes < queueFreeBytesMin * BULK_TIMES
        ? [`Bulk mail is refused: its lanes take mail from ${printMegabytes(queueFreeBytesMin * BULK_TIMES)} free on.`]
        : []),
    ],
  };
}

/** Rounded down: nobody counts the octets of a disk. */
export function printMegabytes(bytes: number): string {
  const megabytes = Math.floor(bytes / 1e6);
  return megabytes === 0 ? "less than 1 MB" : printSize(megabytes * 1e6);
}

const WHEN_FULL: Readonly<Record<DiskUse, string>> = {
  database:
    "Below queue.min_free_disk new mail is refused (HTTP 503, SMTP 452, an error in SQL), bulk at twice as much already; on a " +
    "full disk PostgreSQL stops. What was accepted stays, and goes on when there is room.",
  data: "Without room for its journal a dispatcher hands over nothing, until there is room again.",
  spool: "A relay without room refuses mail; Postlane slows down before and keeps it, until there is room again.",
  named: "What lies here stops when it is full; make room, or move what grows to a disk of its own.",
};
