// `postlane doctor disk`: which disks, the measuring, and what is printed.

import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import path from "node:path";
import { describeDevice, isVirtualMachine } from "../../doctor/disk-device.ts";
import { judgeDisk, type DiskFacts, type DiskJudgement, type FsyncFigures } from "../../doctor/judge-disk.ts";
import { judgeRoom, printMegabytes, type DiskUse, type Room } from "../../doctor/judge-room.ts";
import { measureDisk } from "../../doctor/measure-disk.ts";
import { readInstance } from "../../mailers/postfix/read-instance.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { foldersOnDiskOf } from "../../platform/folder-on-disk.ts";
import { findPlace } from "../../postgres/embedded-place.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { DASH, harmless, number, printCount, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";

/** All disks together; what comes before and after takes less than the last second. */
const BUDGET_MS = 9000;
/** One disk is not measured for longer: more would say nothing new. */
const DISK_MS_MAX = 5000;
/** Fewer, and nothing is measured; then the last disks are left out, and said to be. */
const DISK_MS_MIN = 2500;

interface Place {
  readonly path: string;
  /** What lies there, for people. */
  readonly uses: string;
  readonly kinds: readonly DiskUse[];
}

interface ExaminedDisk extends DiskFacts, DiskJudgement {
  readonly uses: string;
  readonly room: Room;
}

/** Exit code 1: one of the disks is not to be trusted, gives no answer, or is short of room. */
export async function runDoctorDisk(given: string | undefined, options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const places = given === undefined ? await placesOf(config) : [givenPlace(given)];
  const disks = await onePerDisk(places);
  const measured = disks.slice(0, Math.floor(BUDGET_MS / DISK_MS_MIN));
  const budgetMs = Math.min(DISK_MS_MAX, BUDGET_MS / measured.length);
  const isVirtual = await isVirtualMachine();
  const examined: ExaminedDisk[] = [];
  for (const place of measured) examined.push(await examine(place, config, { budgetMs, isVirtual }));
  const left = disks.slice(measured.length).map(({ path: folder, uses }) => ({ path: folder, uses }));
  output.answer({ disks: examined.map(documentOf), not_measured: left });
  for (const disk of examined) for (const line of linesOf(disk)) output.print(line);
  for (const { path: folder } of left) {
    output.print(
      `${harmless(folder)}: not measured, for lack of time; name it: postlane doctor disk ${harmless(folder)}`,
    );
  }
  if (given === undefined && config.databaseUrl !== undefined) {
    output.note("The database is that of DATABASE_URL: measure its disk on its machine.");
  }
  return examined.some(({ verdict, room }) => BAD.has(verdict) || room.isShort) ? EXIT_FAILED : EXIT_DONE;
}

const BAD: ReadonlySet<DiskJudgement["verdict"]> = new Set(["frozen", "not_a_disk", "too_good"]);

function givenPlace(given: string): Place {
  const folder = path.resolve(given);
  if (existsSync(folder)) return { path: folder, uses: "as named", kinds: ["named"] };
  throw new CommandFailure(
    "path_missing",
    `There is no folder ${folder}. Name one on the disk that is to be measured.`,
  );
}

async function placesOf(config: Config): Promise<readonly Place[]> {
  const database = config.databaseUrl === undefined ? findPlace(config.dataDir)?.data : undefined;
  const places: Place[] = [
    { path: nearestFolder(config.dataDir), uses: "data directory", kinds: ["data"] },
    ...(database === undefined
      ? []
      : [{ path: nearestFolder(database), uses: "embedded database", kinds: ["database"] as const }]),
  ];
  for (const outlet of Object.values(config.outlets)) {
    if (outlet.type !== "smtp" || outlet.gauge === undefined || outlet.gauge.isRemote) continue;
    const { gauge, name } = outlet;
    const spool = gauge.type === "command" ? gauge.spool : await spoolOf(gauge.configDir);
    if (spool !== undefined && existsSync(spool))
      places.push({ path: spool, uses: `spool of outlet ${name}`, kinds: ["spool"] });
  }
  return places;
}

async function spoolOf(configDir: string): Promise<string | undefined> {
  const read = await readInstance(configDir);
  return read.kind === "instance" ? read.facts.queueDir : undefined;
}

/** A data directory that is yet to be made will lie on the disk of the folder above. */
function nearestFolder(folder: string): string {
  return existsSync(folder) || path.dirname(folder) === folder ? folder : nearestFolder(path.dirname(folder));
}

async function onePerDisk(places: readonly Place[]): Promise<readonly Place[]> {
  const disks = new Map<number, Place>();
  for (const place of places) {
    const { deviceNumber } = await describeDevice(place.path);
    const known = disks.get(deviceNumber);
    disks.set(deviceNumber, known === undefined ? place : both(known, place));
  }
  return [...disks.values()];
}

function both(one: Place, other: Place): Place {
  return {
    path: one.path,
    uses: `${one.uses}, ${other.uses}`,
    kinds: [...new Set([...one.kinds, ...other.kinds])],
  };
}

async function examine(
  place: Place,
  config: Config,
  { budgetMs, isVirtual }: { readonly budgetMs: number; readonly isVirtual: boolean },
): Promise<ExaminedDisk> {
  const { deviceNumber: _, ...device } = await describeDevice(place.path);
  const [folder] = await foldersOnDiskOf(place.path, [config.dataDir]);
  if (folder === undefined) {
    throw new CommandFailure(
      "disk_not_writable",
      `On the disk of ${place.path} there is no folder to write to. Name one with \`postlane doctor disk PATH\`, or run ` +
        "this as a user who may write there.",
    );
  }
  const facts = { path: place.path, ...device, isVirtual, ...(await measureDisk(folder, budgetMs, systemClock)) };
  return { ...facts, ...judgeDisk(facts), uses: place.uses, room: await roomOf(place, config) };
}

async function roomOf({ path: folder, kinds }: Place, { queue }: Config): Promise<Room> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(folder);
  const figures = {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeInodes: files === 0 ? null : ffree,
  };
  return judgeRoom(figures, kinds, queue.freeDiskBytesMin);
}

function documentOf(disk: ExaminedDisk): unknown {
  return {
    path: disk.path,
    uses: disk.uses,
    file_system: disk.fileSystem ?? null,
    device: disk.device ?? null,
    model: disk.model ?? null,
    is_rotational: disk.isRotational ?? null,
    is_virtual: disk.isVirtual,
    single: disk.single ?? null,
    parallel: disk.parallel ?? null,
    verdict: disk.verdict,
    room: {
      free_bytes: disk.room.freeBytes,
      free_bytes_min: disk.room.freeBytesMin,
      total_bytes: disk.room.totalBytes,
      free_inodes: disk.room.freeInodes,
      free_inodes_min: disk.room.freeInodesMin,
      is_short: disk.room.isShort,
    },
    findings: [...disk.findings, ...disk.room.findings],
  };
}

function linesOf(disk: ExaminedDisk): readonly string[] {
  const what = [disk.fileSystem, disk.device, disk.model].filter((part) => part !== undefined).join(", ");
  const columns = [text("writers"), ...["fsyncs/s", "p50 ms", "p95 ms", "p99 ms", "max ms"].map(number)];
  const rows = [rowOf("1", disk.single), ...(disk.parallel === undefined ? [] : [rowOf("8", disk.parallel)])];
  return [
    harmless(`${disk.path} (${disk.uses}; ${what || "device not known"})`),
    ...printTable(columns, rows).map((line) => `  ${line}`),
    `  ${roomLine(disk.room)}`,
    ...[...disk.findings, ...disk.room.findings].map((finding) => `  ${finding}`),
  ];
}

function roomLine({ freeBytes, totalBytes, freeInodes }: Room): string {
  const inodes = freeInodes === null ? "" : `, and ${printCount(freeInodes)} inodes`;
  return `Free: ${printMegabytes(freeBytes)} of ${printMegabytes(totalBytes)}${inodes}.`;
}

function rowOf(writers: string, figures: FsyncFigures | undefined): readonly string[] {
  if (figures === undefined) return [writers, DASH, DASH, DASH, DASH, DASH];
  const { per_s, p50_ms, p95_ms, p99_ms, max_ms } = figures;
  return [writers, printCount(per_s), ...[p50_ms, p95_ms, p99_ms, max_ms].map((ms) => ms.toFixed(2))];
}
