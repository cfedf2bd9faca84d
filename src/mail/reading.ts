// What a gauge saw of a relay and its machine: one reading, written once a second by the agent that runs beside it, and
// read by the governor and by reports. Plain data; what could not be measured is absent.

export interface RelayReading {
  /** Messages the relay works on now (Postfix: incoming and active). */
  readonly queue?: number;
  /** Messages it keeps trying: the plug. */
  readonly deferred?: number;
  /** Age of the oldest message in any of its queues. */
  readonly oldest_age_s?: number;
  /** How long it tries before it sends a message back. */
  readonly queue_lifetime_s?: number;
  /** How the queue was counted. */
  readonly queue_source?: "spool" | "postqueue" | "command";
  /** By recipient domain, from a sample; largest first, at most `SHAPE_DESTINATIONS_MAX`. */
  readonly shape?: readonly ShapeRow[];
  /** Latency of an fsync on the spool's disk: the last probe, and the median of the last hour. */
  readonly fsync_ms?: number;
  readonly fsync_usual_ms?: number;
  /** `/proc/pressure`: share of the last 10 s in which some task waited, 0 to 1. */
  readonly pressure_io?: number;
  readonly pressure_cpu?: number;
  readonly pressure_memory?: number;
  readonly load_1min?: number;
  readonly cores?: number;
  /** Of the spool's file system. */
  readonly disk_free_bytes?: number;
  readonly disk_total_bytes?: number;
  /** What kept the gauge from measuring, for people. */
  readonly problems?: readonly string[];
}

/**
 * Postfix refuses mail below 1.5 times its message size limit: 15 MB, and 75 MB of an instance of our own making. Other
 * programs are in trouble before, and so is a disk with less than 2 % free. With little disk at all the bytes count, with
 * much of it the share.
 */
export const DISK_FREE_SHARE_MIN = 0.02;
export const DISK_FREE_BYTES_MIN = 128 * 1024 ** 2;

export interface ShapeRow {
  readonly destination: string;
  /** Estimates, scaled up from the sample. */
  readonly queue: number;
  readonly deferred: number;
  readonly oldest_age_s: number;
}

export const SHAPE_DESTINATIONS_MAX = 50;
