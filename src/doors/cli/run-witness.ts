// `postlane doctor witness`, and its other half `postlane doctor disk --witness`: who speaks with whom, when a run begins and
// ends, and what is printed.

import { randomBytes } from "node:crypto";
import { existsSync, realpathSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { describeDevice } from "../../doctor/disk-device.ts";
import { examineRecords } from "../../doctor/examine-records.ts";
import {
  isWorthExamining,
  judgeWitnessedDisk,
  type ComparedFacts,
  type WitnessJudgement,
} from "../../doctor/judge-witnessed-disk.ts";
import { openWitnessBook } from "../../doctor/witness-file.ts";
import { isNameable } from "../../doctor/witness-line.ts";
import { NONE, RUN_OCTETS, STREAMS, type Counts } from "../../doctor/witness-record.ts";
import {
  hasRoomForRun,
  makeWitnessedFolder,
  readWitnessedFile,
  removeWitnessedFolder,
  witnessedFolderIn,
} from "../../doctor/witnessed-folder.ts";
import { writeWitnessedRecords } from "../../doctor/write-witnessed-records.ts";
import { systemClock } from "../../platform/clock.ts";
import { parseHost, parseListen } from "../../platform/config-host.ts";
import { readBootId } from "../../platform/process-identity.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { harmless, printCount } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { whenInterrupted, type Interruption } from "./watching.ts";
import { connectToWitness, refusedBy, serveWitness, type WitnessConnection } from "./witness-sockets.ts";

/** Beside the doors' own 2580. */
const PORT = 2581;
const TOKEN_CHARS = /^[\x21-\x7e]{1,200}$/;
/** Of the writer, for people. */
const PROGRESS_MS = 5000;
/** For the fsync that is under way when a run is ended. */
const END_MS_MAX = 2000;

export interface WitnessOptions extends CommonOptions {
  readonly listen?: string;
  readonly token?: string;
}

export async function runDoctorWitness(options: WitnessOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const listen = parseListen(options.listen ?? `127.0.0.1:${PORT}`);
  if (listen === undefined) throw misused("--listen takes an address with its port, such as 192.0.2.7:2581.");
  const given = givenToken(options);
  const file = path.join(config.dataDir, "witness.json");
  const book = openWitnessBook(file, { clock: systemClock, ...(given === undefined ? {} : { token: given }) });
  await book.keep();
  const stop = whenInterrupted();
  const server = await serveWitness(listen, book);
  output.answer({ listening: server.address, token: book.token, file });
  output.print(`Listening at ${server.address}; what is told is kept in ${harmless(file)}. Ctrl-C ends it.`);
  output.print(`Token: ${book.token}`);
  output.print("On the machine under test:");
  output.print(`  POSTLANE_WITNESS_TOKEN=${book.token} postlane doctor disk PATH --witness ${server.address}`);
  await stop.happened;
  await server.close();
  return EXIT_DONE;
}

function givenToken({ token = process.env["POSTLANE_WITNESS_TOKEN"] }: WitnessOptions): string | undefined {
  if (token === undefined || TOKEN_CHARS.test(token)) return token;
  throw misused("A token is 1 to 200 letters, digits or signs, without blanks.");
}

export interface WitnessedDiskOptions extends CommonOptions {
  readonly witness: string;
  readonly compare?: boolean;
  readonly token?: string;
}

/** Exit code 1: the disk lies, or nothing can be said of it. */
export async function runWitnessedDisk(given: string | undefined, options: WitnessedDiskOptions): Promise<number> {
  const output = createOutput(options);
  const at = parseHost(options.witness);
  if (at === undefined) throw misused("--witness takes a host, with its port if it is not 2581.");
  const token = givenToken(options);
  if (token === undefined) {
    throw misused("Give the token that the witness printed, by POSTLANE_WITNESS_TOKEN or --token.");
  }
  const trial = await trialIn(path.resolve(given ?? readConfig(options).dataDir), options.witness);
  const connection = await connectToWitness({ port: PORT, ...at }, token);
  try {
    return options.compare === true
      ? await compare(trial, connection, output)
      : await writeUntilCut(trial, connection, output);
  } finally {
    connection.close();
  }
}

interface Trial {
  readonly folder: string;
  /** Names the folder among those of all machines. */
  readonly place: string;
  readonly boot: string;
  readonly mount: string;
  readonly witness: string;
}

async function trialIn(folder: string, witness: string): Promise<Trial> {
  if (!existsSync(folder)) {
    throw new CommandFailure(
      "path_missing",
      `There is no folder ${folder}. Name one on the disk that is to be tried; after a power cut, look that it is mounted.`,
    );
  }
  const real = realpathSync(folder);
  const { mountPoint = "/" } = await describeDevice(real);
  const place = `${hostname()}:${real}`;
  if (!isNameable(place)) throw new CommandFailure("path_too_long", `The name of ${real} is too long for the witness.`);
  return { folder: real, place, boot: readBootId(), mount: mountPoint, witness };
}

async function writeUntilCut(trial: Trial, connection: WitnessConnection, output: Output): Promise<number> {
  const { folder, place, boot, mount } = trial;
  if (!(await hasRoomForRun(folder))) {
    throw new CommandFailure(
      "disk_full",
      `There is too little room in ${folder}: a trial needs 64 MB. Make room first.`,
    );
  }
  const stop = whenInterrupted();
  const run = randomBytes(RUN_OCTETS).toString("hex");
  const made = await makeWitnessedFolder(folder).catch((error: unknown) => {
    throw cannotWrite(folder, error);
  });
  const begun = await connection.ask({ kind: "begin", run, place, boot, mount });
  if (begun.kind !== "ok") throw refusedBy(trial.witness, begun);
  sayBegun(trial, run, output);
  const counts = await writeAndTell({ made, run }, connection, { output, stop });
  await connection.ask({ kind: "end" });
  await removeWitnessedFolder(folder);
  output.answer({ run, place, state: "ended", records: counts });
  output.print(`Ended after ${printCount(totalOf(counts))} records; nothing is left behind, and nothing is proved.`);
  return EXIT_DONE;
}

function sayBegun({ folder, place, witness }: Trial, run: string, output: Output): void {
  const again = `postlane doctor disk ${harmless(folder)} --witness ${harmless(witness)} --compare`;
  output.answer({ run, place, state: "writing", compare: again });
  output.print(`Writing into ${harmless(witnessedFolderIn(folder))}; the witness hears what the disk calls durable.`);
  output.print("After some ten seconds, cut the power of the machine: the plug or the host, not the reset button.");
  output.print(`When it is back, run:  ${again}`);
  output.print("Ctrl-C ends the trial without a verdict.");
}

async function writeAndTell(
  { made, run }: { readonly made: string; readonly run: string },
  connection: WitnessConnection,
  { output, stop }: { readonly output: Output; readonly stop: Interruption },
): Promise<Counts> {
  let counts: Counts = NONE;
  const progress = setInterval(() => {
    output.note(`${printCount(totalOf(counts))} records are durable, says the disk.`);
  }, PROGRESS_MS);
  const writing = writeWitnessedRecords({
    folder: made,
    run,
    clock: systemClock,
    durable(newest) {
      counts = newest;
      connection.tell(newest);
    },
    isOver: stop.isDue,
  });
  // A disk that stands still must not keep whoever wants to go.
  const late = stop.happened.then(async () => {
    await new Promise<void>((resolve) => void systemClock.after(END_MS_MAX, resolve));
    throw new CommandFailure("disk_frozen", "The disk gives no answer; what was written stays there.");
  });
  try {
    return await Promise.race([writing, late, connection.lost]);
  } catch (error) {
    throw error instanceof CommandFailure ? error : cannotWrite(made, error);
  } finally {
    clearInterval(progress);
    late.catch(() => {});
    writing.catch(() => {});
  }
}

function cannotWrite(folder: string, error: unknown): CommandFailure {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return new CommandFailure("disk_full", `The disk of ${folder} is full.`);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new CommandFailure("disk_not_writable", `${folder}: ${message}. Run this as a user who may write there.`);
  }
  return new CommandFailure("disk_failed", `The disk of ${folder} failed: ${message}.`);
}

async function compare(trial: Trial, connection: WitnessConnection, output: Output): Promise<number> {
  const answer = await connection.ask({ kind: "last", place: trial.place });
  if (answer.kind !== "run" && answer.kind !== "none") throw refusedBy(trial.witness, answer);
  const known = answer.kind === "run" ? answer.known : undefined;
  const { folder } = trial;
  const asked = { path: folder, known, bootNow: trial.boot, mountNow: trial.mount };
  const losses = isWorthExamining(asked)
    ? examineRecords(asked.known.run, asked.known.told, (name) => readWitnessedFile(folder, name))
    : undefined;
  const facts: ComparedFacts = { ...asked, losses };
  const judgement = judgeWitnessedDisk(facts);
  output.answer(documentOf(facts, trial, judgement));
  for (const finding of judgement.findings) output.print(finding);
  if (losses !== undefined) output.note(`The records stay in ${harmless(witnessedFolderIn(folder))}; remove them.`);
  return judgement.verdict === "honest" ? EXIT_DONE : EXIT_FAILED;
}

function documentOf(
  { known, losses }: ComparedFacts,
  { folder, place }: Trial,
  { verdict, reason, findings }: WitnessJudgement,
): unknown {
  const lossOf = (stream: (typeof STREAMS)[number]) => {
    if (losses === undefined) return null;
    const { examined, missing, torn, firstLost } = losses[stream];
    return { examined, missing, torn, first_lost: firstLost };
  };
  return {
    path: folder,
    place,
    run: known?.run ?? null,
    seconds: known?.seconds ?? null,
    told: known?.told ?? null,
    losses: losses === undefined ? null : Object.fromEntries(STREAMS.map((stream) => [stream, lossOf(stream)])),
    verdict,
    reason,
    findings,
  };
}

function totalOf(counts: Counts): number {
  return STREAMS.reduce((sum, stream) => sum + counts[stream], 0);
}
