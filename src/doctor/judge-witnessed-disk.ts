// What a disk is worth after its power was cut: whether everything is there that it had called durable, as a witness on
// another machine remembers it. Pure. It says "honest" only when the power was gone in between, and enough was written to
// be lost; it says "lies" only of a disk that is mounted where it was.

import type { Losses, StreamLoss } from "./examine-records.ts";
import { STREAMS, type Counts, type Stream } from "./witness-record.ts";

/** What the witness knows of a run. */
export interface WitnessedRun {
  readonly run: string;
  /** Of the kernel that wrote. */
  readonly boot: string;
  /** Where the file system of the folder was mounted. */
  readonly mount: string;
  readonly told: Counts;
  /** From the beginning to the last word, by the clock of the witness. */
  readonly seconds: number;
}

export interface ComparedFacts {
  /** The folder that is judged. */
  readonly path: string;
  /** Undefined: the witness knows of no run in this folder. */
  readonly known: WitnessedRun | undefined;
  readonly bootNow: string;
  readonly mountNow: string;
  /** Undefined: nobody looked, since it would say nothing. */
  readonly losses: Losses | undefined;
}

export type WitnessVerdict = "honest" | "lies" | "unproven";

export interface WitnessJudgement {
  readonly verdict: WitnessVerdict;
  /** Why nothing can be said. */
  readonly reason: "unknown_run" | "same_boot" | "not_mounted" | "too_few" | null;
  /** For people, the most important first. */
  readonly findings: readonly string[];
}

/** Fewer are written within a moment, and might all have reached the disk by luck. */
const RECORDS_MIN = 100;

/** Whether looking into the files can say anything. */
export function isWorthExamining(
  facts: Omit<ComparedFacts, "losses">,
): facts is typeof facts & { known: WitnessedRun } {
  return facts.known !== undefined && facts.known.boot !== facts.bootNow && facts.known.mount === facts.mountNow;
}

export function judgeWitnessedDisk(facts: ComparedFacts): WitnessJudgement {
  const { path, known, bootNow, mountNow, losses } = facts;
  if (known === undefined) {
    return unproven(
      "unknown_run",
      `The witness knows of no run in ${path} on this machine. Begin one: postlane doctor disk ${path} --witness HOST. It ` +
        "must be the same folder under the same host name, and a run that was ended by Ctrl-C is forgotten.",
    );
  }
  if (known.boot === bootNow) {
    return unproven(
      "same_boot",
      "This proves nothing: the machine was not started again since the records were written, only a process ended. What " +
        "a process leaves in the memory of the kernel outlives it. Cut the power while it writes, then compare.",
    );
  }
  if (known.mount !== mountNow || losses === undefined) {
    return unproven(
      "not_mounted",
      `${path} lies on the file system mounted at ${mountNow}; when the records were written, on that mounted at ` +
        `${known.mount}. Mount the disk where it was, then compare.`,
    );
  }
  return judgeLosses(known, losses);
}

function judgeLosses({ told, seconds }: WitnessedRun, losses: Losses): WitnessJudgement {
  const all = STREAMS.reduce((sum, stream) => sum + told[stream], 0);
  const lost = STREAMS.reduce((sum, stream) => sum + lostOf(losses[stream]), 0);
  const examined = STREAMS.reduce((sum, stream) => sum + losses[stream].examined, 0);
  if (lost > 0) {
    return {
      verdict: "lies",
      reason: null,
      findings: [
        `The disk, its controller or the host LIES: of the last ${count(examined)} records that it had called durable, ` +
          `${count(lost)} are lost.`,
        ...STREAMS.filter((stream) => lostOf(losses[stream]) > 0).map((stream) => lossOf(stream, losses[stream])),
        MEANING,
        REMEDY,
      ],
    };
  }
  if (all < RECORDS_MIN) {
    return unproven(
      "too_few",
      `Only ${count(all)} records were written, and fewer than ${RECORDS_MIN} prove nothing. Let it write for some ten ` +
        "seconds before you cut the power.",
    );
  }
  return {
    verdict: "honest",
    reason: null,
    findings: [
      `Honest: ${count(all)} records were called durable in ${seconds} s, and after the power cut each of the last ` +
        `${count(examined)}, all that were kept, is there and whole.`,
      "That holds for this way of cutting the power. A cache that lives as long as the host does is found out only when " +
        "the host's own power is cut.",
    ],
  };
}

function unproven(reason: NonNullable<WitnessJudgement["reason"]>, finding: string): WitnessJudgement {
  return { verdict: "unproven", reason, findings: [finding] };
}

function lostOf({ missing, torn }: StreamLoss): number {
  return missing + torn;
}

const STREAM_WORDS: Readonly<Record<Stream, string>> = {
  log: "Written into a file of fixed size, as PostgreSQL's log is",
  grown: "Appended to a file that grows",
  renamed: "Written aside and renamed, as mailers do",
};

function lossOf(stream: Stream, { examined, missing, torn, firstLost }: StreamLoss): string {
  return (
    `${STREAM_WORDS[stream]}: ${count(missing)} missing and ${count(torn)} torn of ${count(examined)}, the first of them ` +
    `number ${firstLost}.`
  );
}

const MEANING =
  "It means: mail that Postlane has accepted on this disk, and whatever else was committed there, can be gone after a power " +
  "cut, and a database may not even start. No setting of PostgreSQL or Postlane can mend that.";
const REMEDY =
  "What to do: on a virtual machine ask for the disk's cache mode (writethrough, none and directsync are safe; unsafe is not); " +
  "on hardware of your own switch the drive's write cache off (hdparm -W 0 /dev/sdX), give the RAID controller a battery or " +
  "set it to write-through, or take a drive with power loss protection; look that the file system is not mounted with " +
  "nobarrier. Then test again.";

const count = (n: number): string => n.toLocaleString("en");
