// What the dispatchers of an outlet share of its relay: the steps of the relay law, each taken once by whoever sees the
// reading first, and what all of them together have handed over. Pure: rows of the database in, the next row out.

import { learnReading, type RelaySettings, type RelayState } from "../governor/relay-law.ts";
import type { PaceUser } from "../governor/share-pace.ts";
import type { OutletPulse } from "../mail/pulse.ts";
import type { OutletWatch } from "./outlet-watch.ts";
import type { SharedOutlet, Surroundings } from "./verdict-store.ts";

export interface LearntRelay {
  /** Of the reading. */
  readonly number: number;
  readonly relay: RelayState | undefined;
  /** What each dispatcher had handed over at the reading, by its lease. */
  readonly handed: Readonly<Record<string, number>>;
}

/** Of another version, a step is not understood, and one's own goes on. */
const STATE_VERSION = 1;

export function stateOf({ relay, handed }: LearntRelay): unknown {
  return { version: STATE_VERSION, relay, handed };
}

/** Our own step or the shared one, whichever knows the later reading. */
export function latestOf(own: LearntRelay | undefined, shared: SharedOutlet["verdict"]): LearntRelay | undefined {
  const state = shared?.state as Partial<LearntRelay & { version: number }> | undefined;
  if (shared === null || state?.version !== STATE_VERSION) return own;
  if (own !== undefined && own.number >= shared.reading_number) return own;
  return { number: shared.reading_number, relay: state.relay, handed: state.handed ?? {} };
}

/** The step from a reading that nobody has learnt from; else what was known. What was handed over is asked only then. */
export function takeStep(
  known: LearntRelay | undefined,
  reading: SharedOutlet["reading"],
  handedAtReading: (atMs: number) => Readonly<Record<string, number>>,
  settings: RelaySettings,
): LearntRelay | undefined {
  if (reading === null || (known !== undefined && reading.number <= known.number)) return known;
  const { body, at_ms: atMs, number } = reading;
  const handed = handedAtReading(atMs);
  const relay = learnReading(known?.relay, { ...body, atMs, handedSince: handedSince(known, handed) }, settings);
  return { number, relay, handed };
}

/** Who was not there before has handed over all of it since; who is gone has told all that will ever be known. */
function handedSince(known: LearntRelay | undefined, handed: Readonly<Record<string, number>>): number {
  return Object.entries(handed).reduce((sum, [lease, total]) => {
    return sum + Math.max(0, total - (known?.handed[lease] ?? 0));
  }, 0);
}

/**
 * What each live dispatcher had handed over at that moment: of ourselves as we counted, of the others from their pulses,
 * carried on at their rate.
 */
export function handedAt(
  { limits, watched }: { readonly limits: { readonly name: string }; readonly watched: OutletWatch },
  { users }: Surroundings,
  me: string,
  atMs: number,
): Readonly<Record<string, number>> {
  const others = users.flatMap(({ lease_id, pulse_at_ms, outlets }) => {
    const pulse = outlets.find(({ name }) => name === limits.name);
    if (pulse === undefined || String(lease_id) === me) return [];
    const rate = pulse.taken_per_s ?? 0;
    return [[String(lease_id), Math.max(0, (pulse.handed_total ?? 0) + (rate * (atMs - pulse_at_ms)) / 1000)] as const];
  });
  return Object.fromEntries([...others, [me, watched.handedAt(atMs)]]);
}

/** All who use the outlet, as their pulses tell. */
export function paceUsers(surroundings: Surroundings | undefined, outletName: string): readonly PaceUser[] {
  return (surroundings?.users ?? []).flatMap(({ lease_id, priority, outlets }) => {
    const pulse = outlets.find(({ name }) => name === outletName);
    if (pulse === undefined) return [];
    return [{ key: String(lease_id), priority, ...wantsOf(pulse) }];
  });
}

function wantsOf({ taken_per_s, wants_more }: Partial<OutletPulse>): Pick<PaceUser, "takenPerS" | "wantsMore"> {
  return { takenPerS: taken_per_s ?? 0, wantsMore: wants_more === true };
}
