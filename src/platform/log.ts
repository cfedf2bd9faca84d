// JSON lines, on standard error unless told otherwise. Events are named `station.past_participle`; addresses never appear at info level.

import { pino } from "pino";

export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

const STANDARD_ERROR = 2;

/**
 * `level`: debug, info, warn, error or silent. `bound` fields stand in every line. A line is written before the call
 * returns, so that a crash loses none; `isWaitedFor: false` is for a process that must answer while the log's disk stands
 * still.
 */
export function createLog(
  level: string,
  bound: Readonly<Record<string, unknown>>,
  descriptor: number = STANDARD_ERROR,
  { isWaitedFor = true }: { readonly isWaitedFor?: boolean } = {},
): Log {
  const logger = pino(
    {
      level,
      base: { pid: process.pid, ...bound },
      messageKey: "event",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: descriptor, sync: isWaitedFor }),
  );
  return {
    debug: (event, fields) => logger.debug(fields ?? {}, event),
    info: (event, fields) => logger.info(fields ?? {}, event),
    warn: (event, fields) => logger.warn(fields ?? {}, event),
    error: (event, fields) => logger.error(fields ?? {}, event),
  };
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
