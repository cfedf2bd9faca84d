// Which destinations have mail at all: a walk over the index, slice by slice through each running campaign. The campaigns
// take turns; each begins at full speed, goes on slowly once there is work enough, and in no hurry once it has been seen
// to its end: then it is a net under the arrivals, for what a hint may have missed. What the backlog cannot keep in mind
// is found when the walk comes by again, so nobody is left out. It asks for names only, and claims nothing.

import type { CampaignId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { DestinationRow } from "../queue/queue-store.ts";
import type { Backlog } from "./backlog.ts";

export interface DiscoveryPorts {
  readonly clock: Clock;
  readonly backlog: Pick<Backlog, "isFull" | "makeRoom">;
  /** Up to so many destinations behind `after`, in order; undefined when the database did not answer. */
  readonly readSlice: (
    campaignId: CampaignId,
    after: string,
    rowsMax: number,
  ) => Promise<readonly DestinationRow[] | undefined>;
  /** `sinceUs`: what is due later than this came after the campaign ran here, and is an arrival. */
  readonly found: (rows: readonly DestinationRow[], sinceUs: number) => void;
  readonly isOver: () => boolean;
}

export interface Discovery {
  run(): Promise<void>;
  /** The campaigns that run from now on; `nowUs` by the database's clock. */
  follow(running: ReadonlySet<CampaignId>, nowUs: number): void;
}

/** Destinations of one slice (about 8 ms). */
const SLICE_ROWS_MAX = 1000;
/** Destinations of a campaign that are discovered at full speed. From there on the walk rests longer than it works. */
const EAGER_ROWS_MAX = 2000;
const REST_FACTOR = 4;
/**
 * Between two slices of what was seen to its end before, at least: while vacuum cannot clean up, a slice wades through all
 * that is dead (measured: 51,000 pages beside 50,000 dead rows), and then it rests longer than it works, too.
 */
const AGAIN_MS = 1000;
/** How often, while the backlog is full, a slice's worth of it makes room for others. */
const MAKE_ROOM_MS = 250;

interface Walk {
  readonly campaignId: CampaignId;
  readonly sinceUs: number;
  /** The last destination seen; undefined at the end. */
  after: string | undefined;
  rows: number;
  hasEndedOnce: boolean;
}

export function createDiscovery({ clock, backlog, readSlice, found, isOver }: DiscoveryPorts): Discovery {
  /** The one whose turn is next stands first. */
  let walks: Walk[] = [];
  let wake: () => void = () => {};

  /** A campaign that starts meanwhile ends the rest. */
  const rest = (ms: number): Promise<"rested" | "woken"> =>
    new Promise((resolve) => {
      const timer = clock.after(ms, () => resolve("rested"));
      wake = () => {
        timer.cancel();
        resolve("woken");
      };
    });

  const takeTurn = async (walk: Walk): Promise<void> => {
    walks = [...walks.filter((other) => other !== walk), walk];
    const restFactor = walk.rows < EAGER_ROWS_MAX ? 0 : REST_FACTOR;
    const wasSeen = walk.hasEndedOnce;
    const startedAtMs = clock.monotonicMs();
    await walkOn(walk);
    const workedMs = clock.monotonicMs() - startedAtMs;
    const restMs = wasSeen ? Math.max(AGAIN_MS, REST_FACTOR * workedMs) : restFactor * workedMs;
    if (restMs > 0) await rest(restMs);
  };

  const walkOn = async (walk: Walk): Promise<void> => {
    const rows = await readSlice(walk.campaignId, walk.after!, SLICE_ROWS_MAX);
    // Stopped meanwhile: should it go on, it has a new walk.
    if (rows === undefined || !walks.includes(walk)) return;
    found(rows, walk.sinceUs);
    walk.rows += rows.length;
    walk.after = rows.length < SLICE_ROWS_MAX ? undefined : rows.at(-1)!.destination;
    walk.hasEndedOnce ||= walk.after === undefined;
  };

  return {
    async run() {
      while (!isOver()) {
        const next = walks.find(({ after }) => after !== undefined);
        if (next === undefined) {
          if ((await rest(AGAIN_MS)) === "rested") for (const walk of walks) walk.after = "";
        } else if (backlog.isFull) {
          if ((await rest(MAKE_ROOM_MS)) === "rested") backlog.makeRoom(SLICE_ROWS_MAX);
        } else await takeTurn(next);
      }
    },

    follow(running, nowUs) {
      walks = walks.filter(({ campaignId }) => running.has(campaignId));
      const known = new Set(walks.map(({ campaignId }) => campaignId));
      const newcomers = [...running].filter((campaignId) => !known.has(campaignId));
      for (const campaignId of newcomers) {
        walks.push({ campaignId, sinceUs: nowUs, after: "", rows: 0, hasEndedOnce: false });
      }
      if (newcomers.length > 0) wake();
    },
  };
}
