// Which destinations may have mail now, and whose turn it is. Campaigns take turns, and within a campaign its
// destinations do; a newcomer goes ahead, so that the only message of a destination does not wait for a round through
// all the others. What is here is a hint: the claim finds out, and a destination that comes up short leaves.
//
// An entry is ready (in its campaign's ring), asked (a claim is under way), sleeping (its next row is due later),
// blocked (its destination has no room now) or forgotten. Blocked entries are out of the ring until there is room, so
// that picking costs what is picked, however many destinations fail.

import type { CampaignId } from "../mail/ids.ts";
import type { Want } from "../queue/queue-store.ts";

/**
 * Entries that discovery may fill, about 400 bytes each. What is beyond is found again when there is room. Those that
 * only sleep get half of it, so that they leave room for mail that can go; arrivals that can go get twice as much, since
 * nobody else would tell of them soon.
 */
export const DESTINATIONS_KNOWN_MAX = 50_000;

interface Entry {
  readonly campaignId: CampaignId;
  readonly destination: string;
  cursorUs: number;
  /** When its next row is due, or when there may be room; only looked at while it sleeps or is blocked. */
  wakeUs: number;
  place: "ready" | "asked" | "sleeping" | "blocked";
  /** It was reported again while it was asked: it may have rows that the claim under way does not see. */
  isReported: boolean;
}

export interface Room {
  /** How many more rows the destination may have. */
  readonly rows: number;
  /** Without room: when time alone may make some. Absent: `freed` will be called. */
  readonly againAtUs?: number;
}

export interface Backlog {
  /**
   * A destination may have a row that is due at `dueUs` (microseconds since the epoch, as the database counts). Only
   * what arrived goes ahead: what was found waits its turn, or a newcomer would wait for all that a start finds.
   */
  report(campaignId: CampaignId, destination: string, dueUs: number, nowUs: number, how: "arrived" | "found"): void;
  /** Up to `rowsMax` rows, shared out by turns among the campaigns that run. */
  pick(rowsMax: number, campaigns: ReadonlySet<CampaignId>, roomOf: (destination: string) => Room): readonly Want[];
  /** What a claim came to for a want. Short: fewer rows than asked; it leaves until somebody reports it again. */
  answered(want: Want, rowsGot: number, lastDueUs: number | undefined): "short" | "full";
  /** Claim failed: the wants are as they were. */
  unanswered(want: Want): void;
  /** The destination may have room again. */
  freed(destination: string): void;
  wakeSleepers(nowUs: number): void;
  /** Forgets up to so many, those whose turn is furthest away first, so that what is not known gets one too. */
  makeRoom(entriesMax: number): void;
  forgetCampaign(campaignId: CampaignId): void;
  readonly size: number;
  readonly isFull: boolean;
}

export function createBacklog(knownMax: number = DESTINATIONS_KNOWN_MAX): Backlog {
  const campaigns = new Map<CampaignId, { readonly entries: Map<string, Entry>; readonly ring: Ring }>();
  const blocked = new Map<string, Set<Entry>>();
  const sleepers = createSleepers((entry, wakeUs) => isAsleep(entry) && entry.wakeUs === wakeUs && isKnown(entry));
  let size = 0;
  let turn = 0;

  const campaignOf = (id: CampaignId) => {
    let campaign = campaigns.get(id);
    if (campaign === undefined) campaigns.set(id, (campaign = { entries: new Map(), ring: createRing() }));
    return campaign;
  };
  const isKnown = (entry: Entry): boolean => campaigns.get(entry.campaignId)?.entries.get(entry.destination) === entry;
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
  const block = (entry: Entry, againAtUs: number | undefined): void => {
    entry.place = "blocked";
    entry.wakeUs = againAtUs ?? Infinity;
    if (againAtUs !== undefined) sleepers.add(entry, againAtUs);
    const others = blocked.get(entry.destination);
    if (others === undefined) blocked.set(entry.destination, new Set([entry]));
    else others.add(entry);
  };
  const unblock = (entry: Entry): void => {
    const others = blocked.get(entry.destination);
    others?.delete(entry);
    if (others?.size === 0) blocked.delete(entry.destination);
  };
  const forget = (entry: Entry): void => {
    if (campaigns.get(entry.campaignId)?.entries.delete(entry.destination) === true) size--;
  };
  const askedEntryOf = (want: Want): Entry | undefined => {
    const entry = campaigns.get(want.campaignId)?.entries.get(want.destination);
    // Ready: its campaign was stopped and goes on, and this is the answer to a question from before.
    return entry?.place === "asked" ? entry : undefined;
  };

  return {
    report(campaignId, destination, dueUs, nowUs, how) {
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
      const isDue = dueUs <= nowUs;
      if (size >= knownMax * (isDue ? (how === "arrived" ? 2 : 1) : 0.5)) return;
      const entry: Entry = { campaignId, destination, cursorUs: dueUs, wakeUs: 0, place: "ready", isReported: false };
      entries.set(destination, entry);
      size++;
      if (isDue) makeReady(entry, how === "arrived");
      else putToSleep(entry, dueUs);
    },

    pick(rowsMax, running, roomOf) {
      const open = [...campaigns].filter(([id, campaign]) => running.has(id) && campaign.ring.length > 0);
      if (open.length === 0) return [];
      const first = turn++ % open.length;
      const wants: Want[] = [];
      let left = rowsMax;
      for (let i = 0; i < open.length && left > 0; i++) {
        const [, { ring }] = open[(first + i) % open.length]!;
        const share = Math.ceil(left / (open.length - i));
        left -= pickFromRing(ring, share, roomOf, block, wants);
      }
      return wants;
    },

    answered(want, rowsGot, lastDueUs) {
      const entry = askedEntryOf(want);
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
      const entry = askedEntryOf(want);
      if (entry !== undefined) makeReady(entry, true);
    },

    freed(destination) {
      const waiting = blocked.get(destination);
      if (waiting === undefined) return;
      blocked.delete(destination);
      for (const entry of waiting) if (entry.place === "blocked" && isKnown(entry)) makeReady(entry, true);
    },

    wakeSleepers(nowUs) {
      for (const entry of sleepers.takeUntil(nowUs)) {
        if (entry.place === "blocked") unblock(entry);
        makeReady(entry, true);
      }
    },

    makeRoom(entriesMax) {
      const rings = [...campaigns.values()].map(({ ring }) => ring);
      let left = entriesMax;
      for (; left > 0; left--) {
        const entry = longestOf(rings)?.takeLast();
        if (entry === undefined) break;
        forget(entry);
      }
      for (const entries of blocked.values()) {
        for (const entry of entries) {
          if (left-- <= 0) return;
          unblock(entry);
          forget(entry);
        }
      }
    },

    forgetCampaign(campaignId) {
      for (const entry of campaigns.get(campaignId)?.entries.values() ?? []) {
        size--;
        if (entry.place === "blocked") unblock(entry);
      }
      campaigns.delete(campaignId);
    },

    get size() {
      return size;
    },
    get isFull() {
      return size >= knownMax;
    },
  };
}

const isAsleep = ({ place }: Entry): boolean => place === "sleeping" || place === "blocked";

// How many rows of one destination are asked for in its turn. Few destinations: enough to fill the claim. Many: one
// each, so that a round through 10,000 of them takes well under a second. In between, more than one spares the claim
// descents of the index, as long as a round stays well under a second.
const QUANTUM_MAX = 8;
const ROUND_ROWS_WANTED = 4000;

function pickFromRing(
  ring: Ring,
  share: number,
  roomOf: (destination: string) => Room,
  block: (entry: Entry, againAtUs: number | undefined) => void,
  wants: Want[],
): number {
  const quantum = Math.max(
    Math.ceil(share / ring.length),
    Math.min(QUANTUM_MAX, Math.floor(ROUND_ROWS_WANTED / ring.length)),
  );
  let picked = 0;
  while (ring.length > 0 && picked < share) {
    const entry = ring.takeFirst()!;
    const room = roomOf(entry.destination);
    if (room.rows <= 0) {
      block(entry, room.againAtUs);
      continue;
    }
    const rowsMax = Math.min(quantum, share - picked, room.rows);
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

function longestOf(rings: readonly Ring[]): Ring | undefined {
  return rings.reduce<Ring | undefined>(
    (one, other) => (one !== undefined && one.length >= other.length ? one : other),
    undefined,
  );
}

interface Ring {
  readonly length: number;
  putFirst(entry: Entry): void;
  putLast(entry: Entry): void;
  takeFirst(): Entry | undefined;
  /** Never a newcomer. */
  takeLast(): Entry | undefined;
}

/** In four turns, three are the newcomers' and one is the rest's: a steady stream of newcomers starves nobody. */
const NEWCOMERS_IN_A_ROW_MAX = 3;

// Two queues: what is put first goes ahead of the rest, for as long as that does not wait too long.
function createRing(): Ring {
  const newcomers = createFifo();
  const rest = createFifo();
  let inARow = 0;
  return {
    get length() {
      return newcomers.length + rest.length;
    },
    putFirst: newcomers.put,
    putLast: rest.put,
    takeFirst() {
      const isRestDue = newcomers.length === 0 || inARow >= NEWCOMERS_IN_A_ROW_MAX;
      if (isRestDue && rest.length > 0) {
        inARow = 0;
        return rest.take();
      }
      inARow++;
      return newcomers.take();
    },
    takeLast: rest.takeLast,
  };
}

interface Fifo {
  readonly length: number;
  put(entry: Entry): void;
  take(): Entry | undefined;
  takeLast(): Entry | undefined;
}

// An array and where it begins; what was taken is cut off once it is the larger part.
function createFifo(): Fifo {
  let entries: Entry[] = [];
  let head = 0;
  return {
    get length() {
      return entries.length - head;
    },
    put: (entry) => void entries.push(entry),
    take() {
      const entry = entries[head];
      if (entry === undefined) return undefined;
      head++;
      if (head > 1024 && head * 2 > entries.length) [entries, head] = [entries.slice(head), 0];
      return entry;
    },
    takeLast: () => (head < entries.length ? entries.pop() : undefined),
  };
}

interface Sleepers {
  add(entry: Entry, wakeUs: number): void;
  takeUntil(nowUs: number): readonly Entry[];
}

/** Stale places in the heap that are tolerated, beside as many as there are current ones. */
const STALE_MAX = 1000;

// A binary heap by wake time. An entry that was put to sleep again, or woken otherwise, still stands in it: stale places
// are ignored when their time comes, and swept out when they are the larger part.
function createSleepers(isCurrent: (entry: Entry, wakeUs: number) => boolean): Sleepers {
  let heap: (readonly [Entry, number])[] = [];
  let sweepAt = STALE_MAX;
  const at = (index: number): number => heap[index]?.[1] ?? Infinity;
  const swap = (a: number, b: number): void => {
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  };
  const push = (sleeper: readonly [Entry, number]): void => {
    heap.push(sleeper);
    for (let index = heap.length - 1; index > 0;) {
      const parent = (index - 1) >> 1;
      if (at(parent) <= at(index)) break;
      swap(parent, index);
      index = parent;
    }
  };
  const pop = (): readonly [Entry, number] => {
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) heap[0] = last;
    for (let index = 0; ;) {
      const child = at(2 * index + 1) <= at(2 * index + 2) ? 2 * index + 1 : 2 * index + 2;
      if (at(child) >= at(index)) break;
      swap(index, child);
      index = child;
    }
    return first;
  };
  const sweep = (): void => {
    const current = heap.filter(([entry, wakeUs]) => isCurrent(entry, wakeUs));
    heap = [];
    for (const sleeper of current) push(sleeper);
    sweepAt = 2 * heap.length + STALE_MAX;
  };
  return {
    add(entry, wakeUs) {
      push([entry, wakeUs]);
      if (heap.length > sweepAt) sweep();
    },
    takeUntil(nowUs) {
      const due = new Set<Entry>();
      while (at(0) <= nowUs) {
        const [entry, wakeUs] = pop();
        if (isCurrent(entry, wakeUs)) due.add(entry);
      }
      return [...due];
    },
  };
}
