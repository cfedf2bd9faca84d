// JSON lines, on standard error unless told otherwise. Events are named `station.past_participle`; addresses never appear at info level.

import { pino } from "pino";

export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

const STANDARD_ERROR = 2;
/** What waits while the log's disk takes nothing: some thousand lines. */
const WAITING_BYTES_MAX = 1024 * 1024;

/**
 * `level`: debug, info, warn, error or silent. `bound` fields stand in every line. A line is written before the call
 * returns, so that a crash loses none; `isWaitedFor: false` is for a process that must answer while the log's disk stands
 * still. A log that cannot be written, since its disk is full say, is no reason to die: what it was told waits, up to a
 * megabyte, and what comes on top is counted.
 */
export function createLog(
  level: string,
  bound: Readonly<Record<string, unknown>>,
  descriptor: number = STANDARD_ERROR,
  { isWaitedFor = true }: { readonly isWaitedFor?: boolean } = {},
): Log {
  const destination = openDestination(descriptor, isWaitedFor);
  const logger = pino(
    {
      level,
      base: { pid: process.pid, ...bound },
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  let lost = 0;
  destination.on("drop", () => void lost++);
  destination.on("drain", () => {
    if (lost === 0) return;
    const lines = lost;
    lost = 0;
    logger.warn({ lines }, "log.lines_lost");
  });
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}

function openDestination(fd: number, isWaitedFor: boolean) {
  const destination = pino.destination({ fd, sync: isWaitedFor, maxLength: WAITING_BYTES_MAX });
  // Nobody to tell: with the next line it tries again.
  destination.on("error", () => {});
  return destination;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
