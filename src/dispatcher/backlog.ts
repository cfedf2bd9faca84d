// Which destinations may have mail now, and whose turn it is. Campaigns take turns, and within a campaign its
// destinations do; a newcomer goes first, so that the only message of a destination does not wait for a round through
// all the others. What is here is a hint: the claim finds out, and a destination that comes up short leaves.
//
// An entry is ready (in its campaign's ring), asked (a claim is under way), sleeping (its next row is due later) or
// forgotten. A destination whose window is used up stays in the ring and is passed over.

import type { CampaignId } from "../mail/ids.ts";
import type { Want } from "../queue/queue-store.ts";

/** Entries kept in memory, about 200 bytes each. What is beyond is found again by discovery when there is room. */
export const DESTINATIONS_KNOWN_MAX = 300_000;

interface Entry {
  readonly campaignId: CampaignId;
  readonly destination: string;
  cursorUs: number;
  /** When its next row is due; only looked at while it sleeps. */
  wakeUs: number;
  place: "ready" | "asked" | "sleeping";
  /** It was reported again while it was asked: it may have rows that the claim under way does not see. */
  isReported: boolean;
}

export interface Backlog {
  /** A destination may have a row that is due at `dueUs` (microseconds since the epoch, as the database counts). */
  report(campaignId: CampaignId, destination: string, dueUs: number, nowUs: number): void;
  /** Up to `rowsMax` rows, shared out by turns. `freeOf` says how many more a destination may have. */
  pick(rowsMax: number, campaigns: ReadonlySet<CampaignId>, freeOf: (destination: string) => number): readonly Want[];
  /** What a claim came to for a want. Short: fewer rows than asked; it leaves until somebody reports it again. */
  answered(want: Want, rowsGot: number, lastDueUs: number | undefined): "short" | "full";
  /** Claim failed: the wants are as they were. */
  unanswered(want: Want): void;
  wakeSleepers(nowUs: number): void;
  forgetCampaign(campaignId: CampaignId): void;
  readonly size: number;
  readonly isFull: boolean;
  hasReady(campaigns: ReadonlySet<CampaignId>): boolean;
  /** When the first sleeper wakes; undefined when none sleeps. */
  nextWakeUs(): number | undefined;
}

export function createBacklog(knownMax: number = DESTINATIONS_KNOWN_MAX): Backlog {
  const campaigns = new Map<CampaignId, { readonly entries: Map<string, Entry>; ring: Ring }>();
  const sleepers = createSleepers();
  let size = 0;
  let turn = 0;

  const campaignOf = (id: CampaignId) => {
    let campaign = campaigns.get(id);
    if (campaign === undefined) campaigns.set(id, (campaign = { entries: new Map(), ring: createRing() }));
    return campaign;
  };
  const makeReady = (entry: Entry, isFirst: boolean): void => {
    entry.place = "ready";
    const { ring } = campaignOf(entry.campaignId);
    if (isFirst) ring.putFirst(entry);
    else ring.putLast(entry);
  };
  const putToSleep = (entry: Entry, wakeUs: number): void => {
    entry.place = "sleeping";
    entry.wakeUs = wakeUs;
    sleepers.add(entry, wakeUs);
  };
  const forget = (entry: Entry): void => {
    if (campaigns.get(entry.campaignId)?.entries.delete(entry.destination) === true) size--;
  };

  return {
    report(campaignId, destination, dueUs, nowUs) {
      const { entries } = campaignOf(campaignId);
      const known = entries.get(destination);
      if (known !== undefined) {
        known.cursorUs = Math.min(known.cursorUs, dueUs);
        if (known.place === "asked") known.isReported = true;
        else if (known.place === "sleeping" && dueUs < known.wakeUs) {
          if (dueUs <= nowUs) makeReady(known, true);
          else putToSleep(known, dueUs);
        }
        return;
      }
      if (size >= knownMax) return;
      const entry: Entry = { campaignId, destination, cursorUs: dueUs, wakeUs: 0, place: "ready", isReported: false };
      entries.set(destination, entry);
      size++;
      if (dueUs <= nowUs) makeReady(entry, true);
      else putToSleep(entry, dueUs);
    },

    pick(rowsMax, running, freeOf) {
      const open = [...campaigns].filter(([id, campaign]) => running.has(id) && campaign.ring.length > 0);
      if (open.length === 0) return [];
      const first = turn++ % open.length;
      const wants: Want[] = [];
      let left = rowsMax;
      for (let i = 0; i < open.length && left > 0; i++) {
        const [, { ring }] = open[(first + i) % open.length]!;
        const share = Math.ceil(left / (open.length - i));
        left -= pickFromRing(ring, share, freeOf, wants);
      }
      return wants;
    },

    answered(want, rowsGot, lastDueUs) {
      const entry = campaigns.get(want.campaignId)?.entries.get(want.destination);
      if (entry === undefined) return "full";
      if (lastDueUs !== undefined && !entry.isReported) entry.cursorUs = Math.max(entry.cursorUs, lastDueUs);
      if (rowsGot >= want.rowsMax || entry.isReported) {
        entry.isReported = false;
        makeReady(entry, false);
        return "full";
      }
      forget(entry);
      return "short";
    },

    unanswered(want) {
      const entry = campaigns.get(want.campaignId)?.entries.get(want.destination);
      if (entry?.place === "asked") makeReady(entry, true);
    },

    wakeSleepers(nowUs) {
      for (const [entry, wakeUs] of sleepers.takeUntil(nowUs)) {
        const isCurrent = entry.place === "sleeping" && entry.wakeUs === wakeUs;
        if (isCurrent && campaigns.get(entry.campaignId)?.entries.get(entry.destination) === entry) {
          makeReady(entry, true);
        }
      }
    },

    forgetCampaign(campaignId) {
      size -= campaigns.get(campaignId)?.entries.size ?? 0;
      campaigns.delete(campaignId);
    },

    get size() {
      return size;
    },
    get isFull() {
      return size >= knownMax;
    },
    hasReady: (running) => [...campaigns].some(([id, { ring }]) => running.has(id) && ring.length > 0),
    nextWakeUs: () => sleepers.firstUs(),
  };
}

// How many rows of one destination are asked for in its turn. Few destinations: enough to fill the claim. Many: one
// each, so that a round through 10,000 of them takes well under a second.
const QUANTUM_MAX = 8;

function pickFromRing(ring: Ring, share: number, freeOf: (destination: string) => number, wants: Want[]): number {
  const quantum = Math.max(Math.ceil(share / ring.length), Math.min(QUANTUM_MAX, Math.floor(2 * (share / ring.length))));
  let picked = 0;
  for (let looked = ring.length; looked > 0 && picked < share; looked--) {
    const entry = ring.takeFirst()!;
    const rowsMax = Math.min(quantum, share - picked, freeOf(entry.destination));
    if (rowsMax <= 0) {
      ring.putLast(entry);
      continue;
    }
    entry.place = "asked";
    entry.isReported = false;
    picked += rowsMax;
    wants.push({
      campaignId: entry.campaignId,
      destination: entry.destination,
      rowsMax,
      cursorUs: entry.cursorUs,
    });
  }
  return picked;
}

interface Ring {
  readonly length: number;
  putFirst(entry: Entry): void;
  putLast(entry: Entry): void;
  takeFirst(): Entry | undefined;
}

// A queue in two arrays: what is put first goes onto a stack of its own, in front of the rest.
function createRing(): Ring {
  let newcomers: Entry[] = [];
  let newcomersHead = 0;
  let rest: Entry[] = [];
  let head = 0;
  return {
    get length() {
      return newcomers.length - newcomersHead + rest.length - head;
    },
    putFirst: (entry) => void newcomers.push(entry),
    putLast: (entry) => void rest.push(entry),
    takeFirst() {
      if (newcomersHead < newcomers.length) {
        const entry = newcomers[newcomersHead++];
        if (newcomersHead === newcomers.length) [newcomers, newcomersHead] = [[], 0];
        return entry;
      }
      const entry = rest[head];
      if (entry === undefined) return undefined;
      head++;
      if (head > 1024 && head * 2 > rest.length) [rest, head] = [rest.slice(head), 0];
      return entry;
    },
  };
}

interface Sleepers {
  add(entry: Entry, wakeUs: number): void;
  takeUntil(nowUs: number): readonly (readonly [Entry, number])[];
  firstUs(): number | undefined;
}

// A binary heap by wake time. An entry that was put to sleep again stands in it twice; the older one is ignored.
function createSleepers(): Sleepers {
  const heap: (readonly [Entry, number])[] = [];
  const at = (index: number): number => heap[index]?.[1] ?? Infinity;
  const swap = (a: number, b: number): void => {
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  };
  const pop = (): readonly [Entry, number] => {
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) heap[0] = last;
    for (let index = 0; ; ) {
      const child = at(2 * index + 1) <= at(2 * index + 2) ? 2 * index + 1 : 2 * index + 2;
      if (at(child) >= at(index)) break;
      swap(index, child);
      index = child;
    }
    return first;
  };
  return {
    add(entry, wakeUs) {
      heap.push([entry, wakeUs]);
      for (let index = heap.length - 1; index > 0; ) {
        const parent = (index - 1) >> 1;
        if (at(parent) <= at(index)) break;
        swap(parent, index);
        index = parent;
      }
    },
    takeUntil(nowUs) {
      const due: (readonly [Entry, number])[] = [];
      while (at(0) <= nowUs) due.push(pop());
      return due;
    },
    firstUs: () => heap[0]?.[1],
  };
}
