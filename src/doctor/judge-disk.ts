// What the figures of a disk mean: whether they are slow, honest, or too good to be true, in words that say what to do.
// Pure. It compares with what hardware can do: a disk that turns answers at most once a turn, flash without protection
// from power loss has to write before it answers, and no device answers faster than its bus.

export interface DiskFacts {
  readonly path: string;
  /** `ext4`, `tmpfs`; absent: not known. */
  readonly fileSystem?: string;
  /** `/dev/sda1`. */
  readonly device?: string;
  readonly model?: string;
  /** What the kernel was told; a virtual disk often says "turning" without a thought. */
  readonly isRotational?: boolean;
  /** This machine is a virtual one. */
  readonly isVirtual: boolean;
  /** One writer: write a block, fdatasync, again. Absent: the disk gave no answer. */
  readonly single?: FsyncFigures;
  /** So many at once, each with a file of its own. */
  readonly parallel?: FsyncFigures & { readonly writers: number };
}

export interface FsyncFigures {
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  readonly fsyncs: number;
}

export type DiskVerdict =
  /** Nothing answered. */
  | "frozen"
  /** What is written there is gone with the power. */
  | "not_a_disk"
  /** It says "written" before it can have been. */
  | "too_good"
  /** Right for hardware that keeps its cache through a power cut, and for nothing else. */
  | "protected_or_lying"
  | "honest"
  | "slow";

export interface DiskJudgement {
  readonly verdict: DiskVerdict;
  /** For people, the most important first. */
  readonly findings: readonly string[];
}

/** 15,000 turns a minute, the fastest that were ever sold: one fsync a turn. */
const TURNS_PER_S_MAX = 250;
/** Flash that has to program its cells before it answers takes about half a millisecond and more. */
const UNPROTECTED_FLASH_PER_S_MAX = 2500;
/** 10 µs: the bus and the controller alone take that long, whatever memory is behind them. */
const DEVICE_PER_S_MAX = 100_000;
/** A disk that turns at 7,200 a minute and has nothing else to do makes 120. */
const SLOW_PER_S = 50;
/** Writers together, against one alone. */
const SHARING_FACTOR_MIN = 2;

const MEMORY_FILE_SYSTEMS = new Set(["tmpfs", "ramfs", "devtmpfs"]);
const LAYERED_FILE_SYSTEMS = new Set(["overlay", "aufs", "unionfs"]);
const FOREIGN_FILE_SYSTEM = /^(?:nfs\d?|cifs|smb3|9p|virtiofs|ceph|glusterfs|fuse(?:\..*)?|fuseblk)$/;

export function judgeDisk(facts: DiskFacts): DiskJudgement {
  const { verdict, finding } = judgeRate(facts);
  return {
    verdict,
    findings: [finding, ...layerFindings(facts), ...sharingFindings(facts), ...hostFindings(facts, verdict)],
  };
}

interface RateJudgement {
  readonly verdict: DiskVerdict;
  readonly finding: string;
}

function judgeRate({ fileSystem = "", isRotational, isVirtual, single }: DiskFacts): RateJudgement {
  if (MEMORY_FILE_SYSTEMS.has(fileSystem)) {
    return {
      verdict: "not_a_disk",
      finding: `This is ${fileSystem}: memory, not a disk. All of it is gone after a power cut; keep no queue here.`,
    };
  }
  if (single === undefined) {
    return {
      verdict: "frozen",
      finding: "The disk gave no answer to an fsync in time: it stands still, or is far too busy.",
    };
  }
  const per_s = Math.round(single.per_s);
  // By the median answer: a lying disk whose neighbours are busy lies between their turns.
  const at_best_per_s = Math.round(1000 / single.p50_ms);
  if (at_best_per_s > DEVICE_PER_S_MAX) {
    return {
      verdict: "too_good",
      finding:
        `Too good to be true: ${at_best_per_s} fsyncs a second is more than any device can answer. ` +
        "fsync does nothing here: a power cut loses mail that was accepted.",
    };
  }
  if (isRotational === true && !isVirtual && at_best_per_s > TURNS_PER_S_MAX) {
    return {
      verdict: "too_good",
      finding:
        `Too good to be true: ${at_best_per_s} fsyncs a second on a disk that turns at most ${TURNS_PER_S_MAX} times. ` +
        "Unless a controller with a battery keeps the cache, the disk says written before it has: switch its write " +
        "cache off (hdparm -W 0), or a power cut loses mail that was accepted.",
    };
  }
  if (at_best_per_s > UNPROTECTED_FLASH_PER_S_MAX) {
    return {
      verdict: "protected_or_lying",
      finding:
        `${at_best_per_s} fsyncs a second, at their median: right for flash that is protected from power loss (capacitors) or for a controller ` +
        "with a battery. Anything else that answers so fast says written before it has: look up the model.",
    };
  }
  if (per_s < SLOW_PER_S) {
    return {
      verdict: "slow",
      finding:
        `Slow: ${per_s} fsyncs a second. Somebody else keeps this disk busy, or it is far away. Postlane groups its ` +
        "commits; a relay and a site on the same disk wait for each one.",
    };
  }
  return {
    verdict: "honest",
    finding: `${per_s} fsyncs a second is what ${isRotational === true && per_s <= TURNS_PER_S_MAX ? "a disk that turns" : "an honest disk"} can do.`,
  };
}

function layerFindings({ fileSystem = "" }: DiskFacts): readonly string[] {
  if (LAYERED_FILE_SYSTEMS.has(fileSystem)) {
    return [
      `This is ${fileSystem}, the layer of a container: what is written here goes with the container. Mount a volume for it.`,
    ];
  }
  if (FOREIGN_FILE_SYSTEM.test(fileSystem)) {
    return [
      `This is ${fileSystem}: another machine or program decides what an fsync means. Postlane's journal needs a local file system.`,
    ];
  }
  return [];
}

function sharingFindings({ fileSystem = "", single, parallel }: DiskFacts): readonly string[] {
  if (single === undefined || parallel === undefined || MEMORY_FILE_SYSTEMS.has(fileSystem)) return [];
  const factor = parallel.per_s / single.per_s;
  const together = `${parallel.writers} writers at once make ${Math.round(parallel.per_s)} a second together`;
  return factor >= SHARING_FACTOR_MIN
    ? [`${together}: they share the disk's flushes.`]
    : [`${together}: an fsync waits for the one before it, so each neighbour on this disk slows down the others.`];
}

function hostFindings({ isVirtual }: DiskFacts, verdict: DiskVerdict): readonly string[] {
  if (!isVirtual || verdict === "not_a_disk" || verdict === "frozen") return [];
  return [
    "This is a virtual machine: its host decides whether an fsync reaches a disk at all, and no test inside can tell. " +
      "Ask who runs the host for its cache mode (writethrough, none or directsync are safe; unsafe is not).",
  ];
}
