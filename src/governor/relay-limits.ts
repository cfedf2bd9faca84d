// What keeps a measured relay below what its queue alone would allow: its plug, its disk, its machine. Each is a state
// with two edges, one to enter and a lower one to leave, so that a figure at the edge does not make verdicts flap.
// Pure; nothing here knows of paces.

import { DISK_FREE_BYTES_MIN, DISK_FREE_SHARE_MIN } from "../mail/reading.ts";

export interface RelayLimits {
  readonly isPlugFull: boolean;
  readonly isDiskSlow: boolean;
  readonly isDiskFull: boolean;
  /** What tasks on the relay's machine wait for, if they wait too much. */
  readonly pressed?: Pressed;
}

interface Pressed {
  readonly resource: Resource;
  /** 0 to 1. */
  readonly waiting: number;
}
type Resource = "disk" | "CPU" | "memory";

export interface LimitFigures {
  readonly deferred?: number;
  readonly fsync_ms?: number;
  readonly fsync_usual_ms?: number;
  readonly pressure_io?: number;
  readonly pressure_cpu?: number;
  readonly pressure_memory?: number;
  readonly disk_free_bytes?: number;
  readonly disk_total_bytes?: number;
}

/** Five times its own usual, and longer than the slow seek of a healthy mechanical disk: below that nobody suffers. */
const DISK_SLOW_TIMES = 5;
const DISK_SLOW_MS_MIN = 20;
/**
 * A busy relay keeps its disk and CPU busy, and some task always waits: only when hardly a moment passes without
 * waiting is it too much. Waiting for memory is trouble much earlier.
 */
const PRESSURE_MAX: Readonly<Record<Resource, number>> = { disk: 0.98, CPU: 0.95, memory: 0.4 };
/** A state is left at this part of the figure that it was entered at. */
const LEAVE_SHARE = 0.9;
/** The latency of a disk scatters more than a count does: it has to be well again. */
const DISK_SLOW_LEAVE_SHARE = 0.6;

export const noLimits: RelayLimits = { isPlugFull: false, isDiskSlow: false, isDiskFull: false };

export function judgeLimits(before: RelayLimits, figures: LimitFigures, maxPlug: number): RelayLimits {
  const pressed = judgePressure(before.pressed, figures);
  return {
    isPlugFull: isPlugFull(before, figures, maxPlug),
    isDiskSlow: isDiskSlow(before, figures),
    isDiskFull: isDiskFull(before, figures),
    ...(pressed === undefined ? {} : { pressed }),
  };
}

function isPlugFull(before: RelayLimits, { deferred }: LimitFigures, maxPlug: number): boolean {
  if (deferred === undefined) return before.isPlugFull;
  return deferred >= maxPlug * (before.isPlugFull ? LEAVE_SHARE : 1);
}

function isDiskSlow(before: RelayLimits, { fsync_ms, fsync_usual_ms }: LimitFigures): boolean {
  if (fsync_ms === undefined || fsync_usual_ms === undefined) return false;
  const slowMs = Math.max(DISK_SLOW_MS_MIN, DISK_SLOW_TIMES * fsync_usual_ms);
  return fsync_ms >= slowMs * (before.isDiskSlow ? DISK_SLOW_LEAVE_SHARE : 1);
}

function isDiskFull(before: RelayLimits, { disk_free_bytes, disk_total_bytes }: LimitFigures): boolean {
  if (disk_free_bytes === undefined) return before.isDiskFull;
  const byShare = DISK_FREE_SHARE_MIN * (disk_total_bytes ?? 0);
  return disk_free_bytes < Math.max(DISK_FREE_BYTES_MIN, byShare) / (before.isDiskFull ? LEAVE_SHARE : 1);
}

function judgePressure(before: Pressed | undefined, figures: LimitFigures): Pressed | undefined {
  const waiting: readonly (readonly [Resource, number | undefined])[] = [
    ["memory", figures.pressure_memory],
    ["disk", figures.pressure_io],
    ["CPU", figures.pressure_cpu],
  ];
  for (const [resource, share] of waiting) {
    const edge = PRESSURE_MAX[resource] * (before?.resource === resource ? LEAVE_SHARE : 1);
    if (share !== undefined && share >= edge) return { resource, waiting: share };
  }
  return undefined;
}
