// The shape of a queue, as `qshape` has it: how many messages wait for which recipient domain and how old the oldest of
// them is, from a sample that is scaled up. Domains are foreign words: bounded in length and in number.

import { domainOf } from "../mail/address.ts";
import { SHAPE_DESTINATIONS_MAX, type ShapeRow } from "../mail/reading.ts";

export interface SampledMessage {
  readonly side: "queue" | "deferred";
  /** How many messages this one stands for. */
  readonly weight: number;
  readonly recipients: readonly string[];
  readonly arrivedAtMs?: number;
}

/** RFC 1035 §2.3.4. */
const DOMAIN_CHARS_MAX = 253;

export function shapeOf(messages: readonly SampledMessage[], nowMs: number): readonly ShapeRow[] {
  const rows = new Map<string, { queue: number; deferred: number; oldestAtMs: number }>();
  for (const { side, weight, recipients, arrivedAtMs = nowMs } of messages) {
    for (const destination of new Set(recipients.map(destinationOf))) {
      const row = rows.get(destination) ?? { queue: 0, deferred: 0, oldestAtMs: nowMs };
      row[side] += weight;
      row.oldestAtMs = Math.min(row.oldestAtMs, arrivedAtMs);
      rows.set(destination, row);
    }
  }
  return [...rows]
    .map(([destination, { queue, deferred, oldestAtMs }]) => ({
      destination,
      queue: Math.round(queue),
      deferred: Math.round(deferred),
      oldest_age_s: Math.max(0, Math.round((nowMs - oldestAtMs) / 1000)),
    }))
    .toSorted((one, other) => other.queue + other.deferred - one.queue - one.deferred)
    .slice(0, SHAPE_DESTINATIONS_MAX);
}

const destinationOf = (recipient: string): string => domainOf(recipient).slice(0, DOMAIN_CHARS_MAX);
