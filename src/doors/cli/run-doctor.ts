// `postlane doctor disk`: which disks, the measuring, and what is printed.

import { existsSync } from "node:fs";
import path from "node:path";
import { describeDevice, isVirtualMachine } from "../../doctor/disk-device.ts";
import { judgeDisk, type DiskFacts, type DiskJudgement, type FsyncFigures } from "../../doctor/judge-disk.ts";
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
}

interface ExaminedDisk extends DiskFacts, DiskJudgement {
  readonly uses: string;
}

/** Exit code 1: one of the disks is not to be trusted, or gives no answer. */
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
  output.answer({ disks: examined.map(documentOf), not_measured: disks.slice(measured.length) });
  for (const disk of examined) for (const line of linesOf(disk)) output.print(line);
  for (const { path: left } of disks.slice(measured.length)) {
    output.print(`${harmless(left)}: not measured, for lack of time; name it: postlane doctor disk ${harmless(left)}`);
  }
  if (given === undefined && config.databaseUrl !== undefined) {
    output.note("The database is that of DATABASE_URL: measure its disk on its machine.");
  }
  return examined.some(({ verdict }) => BAD.has(verdict)) ? EXIT_FAILED : EXIT_DONE;
}

const BAD: ReadonlySet<DiskJudgement["verdict"]> = new Set(["frozen", "not_a_disk", "too_good"]);

function givenPlace(given: string): Place {
  const folder = path.resolve(given);
  if (existsSync(folder)) return { path: folder, uses: "as named" };
  throw new CommandFailure(
    "path_missing",
    `There is no folder ${folder}. Name one on the disk that is to be measured.`,
  );
}

async function placesOf(config: Config): Promise<readonly Place[]> {
  const database = config.databaseUrl === undefined ? findPlace(config.dataDir)?.data : undefined;
  const places: Place[] = [
    { path: nearestFolder(config.dataDir), uses: "data directory" },
    ...(database === undefined ? [] : [{ path: nearestFolder(database), uses: "embedded database" }]),
  ];
  for (const outlet of Object.values(config.outlets)) {
    if (outlet.type !== "smtp" || outlet.gauge === undefined || outlet.gauge.isRemote) continue;
    const { gauge, name } = outlet;
    const spool = gauge.type === "command" ? gauge.spool : await spoolOf(gauge.configDir);
    if (spool !== undefined && existsSync(spool)) places.push({ path: spool, uses: `spool of outlet ${name}` });
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
    disks.set(deviceNumber, known === undefined ? place : { ...known, uses: `${known.uses}, ${place.uses}` });
  }
  return [...disks.values()];
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
  return { ...facts, ...judgeDisk(facts), uses: place.uses };
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
    findings: disk.findings,
  };
}

function linesOf(disk: ExaminedDisk): readonly string[] {
  const what = [disk.fileSystem, disk.device, disk.model].filter((part) => part !== undefined).join(", ");
  const columns = [text("writers"), ...["fsyncs/s", "p50 ms", "p95 ms", "p99 ms", "max ms"].map(number)];
  const rows = [rowOf("1", disk.single), ...(disk.parallel === undefined ? [] : [rowOf("8", disk.parallel)])];
  return [
    harmless(`${disk.path} (${disk.uses}; ${what || "device not known"})`),
    ...printTable(columns, rows).map((line) => `  ${line}`),
    ...disk.findings.map((finding) => `  ${finding}`),
  ];
}

function rowOf(writers: string, figures: FsyncFigures | undefined): readonly string[] {
  if (figures === undefined) return [writers, DASH, DASH, DASH, DASH, DASH];
  const { per_s, p50_ms, p95_ms, p99_ms, max_ms } = figures;
  return [writers, printCount(per_s), ...[p50_ms, p95_ms, p99_ms, max_ms].map((ms) => ms.toFixed(2))];
}
