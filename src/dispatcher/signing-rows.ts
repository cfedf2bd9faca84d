// Ready rows whose mail is signed. A signature takes far longer than everything else that is done for a message, and is
// made on other threads: so these rows are composed before an outlet asks, a few ahead, and may be taken when their
// signature is there. All other rules are asked at the taking, as for any row.
//
//   waiting → signing → signed → taken        from any of them: forgotten (given back); what comes of it then is ignored
//                 ↑        │ stale: `SIGNED_MS_MAX` after it was composed, since its Date must be right at hand-over
//   waiting ←──────────────┘
//                 └→ failed → taken            and held by whoever takes it
//
// Rows that are not signed are never in here and cost one look into an empty map.

import type { Clock, Timer } from "../platform/clock.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import type { Composed } from "./compose-message.ts";
import type { Route } from "./destinations.ts";

export interface SigningRows {
  add(row: ClaimedRow, route: Route): void;
  /** A row that turned out to be signed only when it was composed. */
  adopt(row: ClaimedRow, route: Route, composed: Composed): void;
  isTakeable(row: ClaimedRow): boolean;
  /** Rows that wait for a signature: as many ready ones cannot be taken. */
  unsigned(route: Route): number;
  /** It leaves. Undefined: it is none of these, and to be composed by whoever takes it. */
  take(row: ClaimedRow): Signed | undefined;
  forget(rows: readonly ClaimedRow[]): void;
  /** Composes what may be, up to so many that are composed and not taken. Stops where `compose` answers nothing. */
  startAhead(route: Route, rowsMax: number, mayStart: MayStart): void;
  readonly size: number;
}

/** Whether a row may be begun, with so many of its destination begun already, and of its route as part of the bound. */
export type MayStart = (row: ClaimedRow, begunThere: number, isFirstHalf: boolean) => boolean;

export type Signed =
  | { readonly kind: "signed"; readonly composed: ComposedMail }
  | { readonly kind: "failed"; readonly error: unknown };

export interface SigningPorts {
  readonly clock: Clock;
  /** Throws what is wrong with the message. Undefined: it could not be begun, and nothing more can. */
  readonly compose: (row: ClaimedRow) => Composed | undefined;
  /** Rows became takeable. */
  readonly signed: () => void;
  /** Whether they may be told of a few at a time. */
  readonly mayGather: () => boolean;
}

/** A mail older than this is composed and signed anew when it is its turn. */
export const SIGNED_MS_MAX = 5000;
/**
 * Where nobody waits for a single message, signed ones are told of when there are so many, or this long after the first:
 * a relay that is fed drop by drop costs twice as much for each message as one that is fed in bursts.
 */
const GATHERED_MAX = 16;
const GATHER_MS = 5;
/** What is composed and not taken takes no more than about this, or is one mail. */
const OCTETS_AHEAD_MAX = 16 * 1024 * 1024;

type Stage = { readonly kind: "waiting" | "signing" } | Signed;

interface RowAtWork {
  readonly route: Route;
  stage: Stage;
  composedAtMs: number;
  octets: number;
}

const WAITING: Stage = { kind: "waiting" };

export function createSigningRows({ clock, compose, signed, mayGather }: SigningPorts): SigningRows {
  const rows = new Map<ClaimedRow, RowAtWork>();
  const waiting: Record<Route, Set<ClaimedRow>> = { main: new Set(), retry: new Set() };
  /** Composed and not taken: being signed, signed or failed. In the order of their beginning. */
  const begun: Record<Route, Set<ClaimedRow>> = { main: new Set(), retry: new Set() };
  const begunOf = new Map<string, number>();
  let octetsBegun = 0;
  const signing: Record<Route, number> = { main: 0, retry: 0 };
  let gathered = 0;
  let gatherTimer: Timer | undefined;

  const tell = (): void => {
    gatherTimer?.cancel();
    gatherTimer = undefined;
    gathered = 0;
    signed();
  };
  const tellOfOne = (): void => {
    gathered++;
    if (gathered >= GATHERED_MAX || signing.main + signing.retry === 0 || !mayGather()) tell();
    else gatherTimer ??= clock.after(GATHER_MS, tell);
  };
  const begin = (row: ClaimedRow, at: RowAtWork, composed: Composed): void => {
    at.composedAtMs = clock.monotonicMs();
    at.octets = "octets" in composed ? composed.octets : composed.content.text.length;
    if (!("octets" in composed)) {
      at.stage = { kind: "signed", composed };
      return tellOfOne();
    }
    const { envelope, content } = composed;
    const stage: Stage = { kind: "signing" };
    at.stage = stage;
    signing[at.route]++;
    // What was given back meanwhile is in here no more, or again as another one.
    const end = (ended: Signed): void => {
      if (at.stage !== stage || rows.get(row) !== at) return;
      at.stage = ended;
      signing[at.route]--;
      tellOfOne();
    };
    content.then(
      (whole) => end({ kind: "signed", composed: { envelope, content: whole } }),
      (error: unknown) => end({ kind: "failed", error }),
    );
  };
  /** False: nothing can be begun any more. */
  const start = (row: ClaimedRow, at: RowAtWork): boolean => {
    try {
      const composed = compose(row);
      if (composed === undefined) return false;
      begin(row, at, composed);
    } catch (error) {
      at.stage = { kind: "failed", error };
      at.composedAtMs = clock.monotonicMs();
      tellOfOne();
    }
    enter(row, at);
    return true;
  };
  const enter = (row: ClaimedRow, { route, octets }: RowAtWork): void => {
    waiting[route].delete(row);
    begun[route].add(row);
    begunOf.set(row.destination, (begunOf.get(row.destination) ?? 0) + 1);
    octetsBegun += octets;
  };
  const leave = (row: ClaimedRow, { route, octets, stage }: RowAtWork): void => {
    waiting[route].delete(row);
    if (!begun[route].delete(row)) return;
    if (stage.kind === "signing") signing[route]--;
    octetsBegun -= octets;
    const left = begunOf.get(row.destination)! - 1;
    if (left === 0) begunOf.delete(row.destination);
    else begunOf.set(row.destination, left);
  };
  const isOld = ({ composedAtMs }: RowAtWork): boolean => clock.monotonicMs() - composedAtMs > SIGNED_MS_MAX;
  /** Back to where they were, in front of those that never had their turn. */
  const dropStale = (route: Route): void => {
    const stale: ClaimedRow[] = [];
    for (const row of begun[route]) {
      const at = rows.get(row)!;
      if (!isOld(at)) break;
      if (at.stage.kind !== "signed") continue;
      stale.push(row);
      leave(row, at);
      at.stage = WAITING;
      at.octets = 0;
    }
    if (stale.length > 0) waiting[route] = new Set([...stale, ...waiting[route]]);
  };

  return {
    add(row, route) {
      rows.set(row, { route, stage: WAITING, composedAtMs: 0, octets: 0 });
      waiting[route].add(row);
    },
    adopt(row, route, composed) {
      const at: RowAtWork = { route, stage: WAITING, composedAtMs: 0, octets: 0 };
      rows.set(row, at);
      begin(row, at, composed);
      enter(row, at);
    },
    isTakeable(row) {
      if (rows.size === 0) return true;
      const at = rows.get(row);
      return at === undefined || at.stage.kind === "failed" || (at.stage.kind === "signed" && !isOld(at));
    },
    unsigned: (route) => waiting[route].size + signing[route],
    take(row) {
      const at = rows.get(row);
      if (at === undefined || (at.stage.kind !== "signed" && at.stage.kind !== "failed")) return undefined;
      leave(row, at);
      rows.delete(row);
      return at.stage;
    },
    forget(given) {
      if (rows.size === 0) return;
      for (const row of given) {
        const at = rows.get(row);
        if (at === undefined) continue;
        leave(row, at);
        rows.delete(row);
      }
    },
    startAhead(route, rowsMax, mayStart) {
      dropStale(route);
      for (const row of waiting[route]) {
        const { size } = begun[route];
        if (size >= rowsMax || octetsBegun >= OCTETS_AHEAD_MAX) return;
        if (!mayStart(row, begunOf.get(row.destination) ?? 0, size < rowsMax / 2)) continue;
        if (!start(row, rows.get(row)!)) return;
      }
    },
    get size() {
      return rows.size;
    },
  };
}
