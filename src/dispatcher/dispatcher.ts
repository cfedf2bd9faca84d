// One lane at work: claim what the governor permits, carry each message through compose and hand-over to its outcome,
// settle in groups. Assumes a lease that its caller acquired; starts nothing and permits no final dot past the lease's
// deadline. All time, database, files and sockets come in as ports, so that the same code runs in a simulation.
//
// A message moves: claimed → ready (in memory) → open (taken by an outlet) → outcome → settled. At most `claimAheadMax`
// are ready, at most the window is open, and one claim and one settle are under way at a time: what comes in meanwhile
// goes into the next, so a slow disk makes groups larger and not throughput smaller.

import { strict as assert } from "node:assert";
import {
  divideWindow,
  governDestination,
  governOutlet,
  healthyDestination,
  healthyOutlet,
  recordFailure,
  recordSuccess,
  type DestinationReadings,
  type OutletReadings,
  type Verdict,
} from "../governor/verdict.ts";
import type { AttemptToken, Dot, HandOver, Outlet, OutletDriver } from "../handover/outlet.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Content, Envelope } from "../mail/envelope.ts";
import { NO_CAMPAIGN, type CampaignId, type LeaseId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { Outcome } from "../mail/outcome.ts";
import { tellReason } from "../mail/reasons.ts";
import { judgeAttempt } from "../outcome/judge-reply.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Random } from "../platform/random.ts";
import type { LaneOrders } from "../queue/lane-store.ts";
import type { ArrivalCursor, ClaimedRow, DestinationRow, Want } from "../queue/queue-store.ts";
import { createBacklog, type Room } from "./backlog.ts";
import { createClaimBook } from "./claim-book.ts";
import { createDiscovery, type Discovery } from "./discovery.ts";
import { fateOf, expired, heldWith, unclaimed } from "./fate.ts";
import type { Journal } from "./journal.ts";
import type { LaneQueue, Settlement } from "./lane-queue.ts";
import { createWaitingTimes } from "./waiting-times.ts";

export interface DispatcherSettings {
  readonly lane: LaneSettings;
  readonly leaseId: LeaseId;
  readonly leaseMs: number;
  /** Monotonic instant from before the lease was asked for. */
  readonly leaseAskedAtMs: number;
  readonly outlets: readonly OutletLimits[];
}

export interface OutletLimits {
  readonly name: string;
  readonly openMax: number;
  readonly openPerDestinationMax: number;
  /** This lane's part of the window, where other lanes use the outlet too. */
  readonly share: number;
}

export interface DispatcherPorts {
  readonly queue: LaneQueue;
  readonly journal: Journal;
  readonly openOutlet: (name: string, driver: OutletDriver) => Outlet;
  /** Synchronous; throws what is wrong with this message, which is then held alone. */
  readonly compose: (row: ClaimedRow, wallMs: number) => { readonly envelope: Envelope; readonly content: Content };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Dispatcher {
  /** Resolves when it has drained after `drain`, or has stopped because its lease is over. */
  run(): Promise<DispatcherEnd>;
  /** Claims nothing more, finishes what is open, gives back the rest. */
  drain(): void;
  /** Drains no longer: what is open is cut off, and ends as its attempts say. */
  cut(): void;
}

export interface DispatcherEnd {
  readonly kind: "drained" | "lease_lost";
  /** Outcomes that came too late to be settled under the lease. Evidence all the same. */
  readonly late: readonly Settlement[];
}

// How often an idle lane looks: transactional mail is awake within milliseconds, bulk within a blink.
const LOOK_MS = { transactional: 5, bulk: 50 } as const;
/** Orders (pause, cancel, who else serves the lane) are in force within a second: this often, and what follows. */
const ORDERS_MS = 200;
/** How long a probe's slot is one dispatcher's, where several serve the lane. */
const PROBE_TURN_MS = 1000;
/** Before a dispatcher takes its part of a window that others have: two turns of their orders, and one for what is open. */
const JOIN_MS = 3 * ORDERS_MS;
const PULSE_MS = 1000;
/** Rows of one claim. Larger claims cost a transactional message more when it comes behind one. */
const CLAIM_ROWS_MAX = { transactional: 100, bulk: 500 } as const;
/** Outcomes in one settle. A bound for memory and for how long one transaction takes, seldom reached. */
const SETTLE_ROWS_MAX = 2000;
/** Bulk settles so many at once without waiting for more, and what there is after this long. */
const SETTLE_ROWS_WANTED = 500;
const SETTLE_GATHER_MS = 20;
/**
 * Ready rows last about this long: a newcomer stands behind them, and after a reboot they are unknown. Less would starve
 * the relay when a claim takes a quarter of a second.
 */
const CLAIM_AHEAD_MS = 500;
const DATABASE_RETRY_MS = 250;
/** How often it is looked whether a claim under way was answered, after a settle that failed. */
const CLAIM_WAIT_MS = 10;
/** How long a dispatcher without a lease waits for replies to final dots that it wrote while it had it. */
const LATE_REPLY_MS_MAX = 10_000;
/** Part of the lease that is not used, against what clocks and schedulers do between asking and acting. */
const LEASE_MARGIN = 0.1;
/** Bulk gives way while the transactional lane waits longer than this. */
const GIVE_WAY_WAITING_MS = 50;

interface OpenAttempt {
  readonly row: ClaimedRow;
  readonly attempt: number;
  readonly outlet: OutletAtWork;
  isDotPermitted: boolean;
}

interface OutletAtWork {
  readonly limits: OutletLimits;
  readonly outlet: Outlet;
  readings: OutletReadings;
  verdict: Verdict;
  window: number;
  open: number;
}

interface DestinationAtWork {
  readings: DestinationReadings;
  /** Ready and open. */
  claimed: number;
  open: number;
}

export function createDispatcher(settings: DispatcherSettings, ports: DispatcherPorts): Dispatcher {
  return new LaneDispatcher(settings, ports);
}

class LaneDispatcher implements Dispatcher {
  readonly #settings: DispatcherSettings;
  readonly #ports: DispatcherPorts;
  readonly #lane: LaneSettings;
  readonly #pace: "transactional" | "bulk";
  readonly #backlog = createBacklog();
  readonly #waiting;
  readonly #outlets: OutletAtWork[] = [];
  readonly #openPerDestinationMax: number;
  readonly #destinations = new Map<string, DestinationAtWork>();
  readonly #open = new Map<AttemptToken, OpenAttempt>();
  readonly #claims = createClaimBook();
  readonly #discovery: Discovery;

  #ready: ClaimedRow[] = [];
  #outcomes: Settlement[] = [];
  #late: Settlement[] = [];
  #running: ReadonlySet<CampaignId> = new Set();
  #orders: LaneOrders | undefined;
  #ordersAtMs = 0;
  #cursor: ArrivalCursor | undefined;
  #leaseEndsAtMs: number;
  #phase: "working" | "draining" | "lease_lost" = "working";
  #isClaiming = false;
  #mayHaveLostClaims = false;
  #isSettling = false;
  #isSettleInDoubt = false;
  #isFlushDue = false;
  #isSettleDue = false;
  #isJournalBroken = false;
  /** Hand-overs begun since the last look at the rate, and the rate then. */
  #takenCount = 0;
  #takenSinceMs: number;
  #takenPerS = 0;
  #settledTotal = 0;
  #settledAtMs: number;
  #lookTimer: Timer | undefined;
  #isLooking = false;
  #ended: ((end: DispatcherEnd) => void) | undefined;

  constructor(settings: DispatcherSettings, ports: DispatcherPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#lane = settings.lane;
    this.#pace = settings.lane.priority;
    this.#openPerDestinationMax = settings.outlets.reduce((sum, limits) => sum + limits.openPerDestinationMax, 0);
    this.#waiting = createWaitingTimes(ports.clock);
    this.#leaseEndsAtMs = this.#deadlineAfter(settings.leaseAskedAtMs);
    this.#settledAtMs = ports.clock.monotonicMs();
    this.#takenSinceMs = this.#settledAtMs;
    this.#discovery = createDiscovery({
      clock: ports.clock,
      backlog: this.#backlog,
      readSlice: (campaignId, after, rowsMax) =>
        this.#attemptDatabase("queue.discover_failed", () => ports.queue.discover(campaignId, after, rowsMax)),
      found: (rows, sinceUs) => this.#takeDiscovered(rows, sinceUs),
      isOver: () => this.#isOver(),
    });
    for (const limits of settings.outlets) this.#openOutlet(limits);
  }

  async run(): Promise<DispatcherEnd> {
    const ended = new Promise<DispatcherEnd>((resolve) => (this.#ended = resolve));
    void this.#followOrders();
    void this.#keepLease();
    void this.#discovery.run();
    this.#lookSoon(0);
    return await ended;
  }

  drain(): void {
    if (this.#phase !== "working") return;
    this.#phase = "draining";
    this.#giveBack(() => true, "draining");
    void Promise.all(this.#outlets.map(({ outlet }) => outlet.drain())).then(() => this.#endIfDone());
    this.#endIfDone();
  }

  cut(): void {
    this.drain();
    this.#closeOutlets();
  }

  #closeOutlets(): void {
    for (const { outlet } of this.#outlets) void outlet.close();
  }

  // ---- the lease -------------------------------------------------------------------------------------------------

  #deadlineAfter(askedAtMs: number): number {
    return askedAtMs + this.#settings.leaseMs * (1 - LEASE_MARGIN);
  }

  #isLeaseHeld(): boolean {
    return this.#phase !== "lease_lost" && this.#ports.clock.monotonicMs() < this.#leaseEndsAtMs;
  }

  async #keepLease(): Promise<void> {
    while (!this.#isOver()) {
      await this.#sleep(PULSE_MS);
      if (this.#isOver()) return;
      const askedAtMs = this.#ports.clock.monotonicMs();
      const isHeld = await this.#attemptDatabase("lease.renew_failed", () => this.#ports.queue.renew(this.#pulse()));
      if (isHeld === true) this.#leaseEndsAtMs = this.#deadlineAfter(askedAtMs);
      if (isHeld === false || !this.#isLeaseHeld()) this.#loseLease();
    }
  }

  #loseLease(): void {
    if (this.#phase === "lease_lost") return;
    this.#ports.log.error("lease.lost", { lease_id: this.#settings.leaseId, open: this.#open.size });
    this.#phase = "lease_lost";
    this.#ready = [];
    this.#late.push(...this.#outcomes.splice(0));
    this.#ports.clock.after(LATE_REPLY_MS_MAX, () => this.#closeOutlets());
    void Promise.all(this.#outlets.map(({ outlet }) => outlet.drain())).then(() => this.#endIfDone());
    this.#endIfDone();
  }

  // ---- orders and verdicts ---------------------------------------------------------------------------------------

  async #followOrders(): Promise<void> {
    while (!this.#isOver()) {
      const askedAtMs = this.#ports.clock.monotonicMs();
      const orders = await this.#attemptDatabase("orders.read_failed", () => this.#ports.queue.orders());
      if (orders !== undefined) this.#takeOrders(orders, askedAtMs);
      this.#measureRate();
      if (orders !== undefined && this.#mayHaveLostClaims) this.#makeRoomForRescue();
      this.#govern();
      this.#kick();
      await this.#sleep(ORDERS_MS);
    }
  }

  #measureRate(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#takenPerS = (this.#takenCount * 1000) / Math.max(1, nowMs - this.#takenSinceMs);
    this.#takenCount = 0;
    this.#takenSinceMs = nowMs;
  }

  // Rows of a claim whose answer was lost are nobody's until this lease ends; now that the database answers again, a new
  // dispatcher is the quickest way to them.
  #makeRoomForRescue(): void {
    if (this.#phase === "working") this.#ports.log.warn("claim.answer_lost", { lease_id: this.#settings.leaseId });
    this.drain();
  }

  #takeOrders(orders: LaneOrders, askedAtMs: number): void {
    this.#orders = orders;
    this.#ordersAtMs = askedAtMs;
    const running = new Set<CampaignId>(orders.is_paused ? [] : [NO_CAMPAIGN, ...orders.campaign_ids]);
    for (const id of this.#running) if (!running.has(id)) this.#stopCampaign(id);
    this.#running = running;
    this.#discovery.follow(running, orders.database_ms * 1000);
  }

  #stopCampaign(id: CampaignId): void {
    this.#backlog.forgetCampaign(id);
    this.#giveBack((row) => row.campaign_id === id, "paused");
  }

  #govern(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const isGivingWay = this.#isGivingWay();
    for (const at of this.#outlets) {
      const verdict = governOutlet(
        at.readings,
        { openMax: at.limits.openMax, share: at.limits.share, gaveWay: isGivingWay },
        nowMs,
      );
      this.#tellVerdict(at, verdict);
      at.verdict = verdict;
      at.window = this.#mayWork() ? this.#myPart(verdict) : 0;
      at.outlet.setLimit(at.window);
    }
    if (this.#windowSum() === 0) this.#giveBack(() => true, "window_closed");
  }

  #isGivingWay(): boolean {
    return this.#pace === "bulk" && (this.#orders?.others_waiting_ms ?? 0) > GIVE_WAY_WAITING_MS;
  }

  // Whoever was here before reads of a newcomer with its next orders; until then the window is still all theirs.
  // Each knows only its own failures, so the probe's single slot goes round: else all but the first would wait for ever.
  #myPart({ window, reasons }: Verdict): number {
    const leases = this.#orders?.lease_ids ?? [];
    const isNewcomer = this.#ports.clock.monotonicMs() < this.#settings.leaseAskedAtMs + JOIN_MS;
    if (leases.length > 1 && isNewcomer) return 0;
    const dispatchers = Math.max(1, leases.length);
    const turn = reasons[0]?.code === "probing" ? Math.floor(this.#databaseMs() / PROBE_TURN_MS) : 0;
    const ordinal = (Math.max(0, leases.indexOf(this.#settings.leaseId)) + turn) % dispatchers;
    return divideWindow(window, dispatchers, ordinal);
  }

  #tellVerdict(at: OutletAtWork, verdict: Verdict): void {
    const reason = verdict.reasons[0];
    if (reason === undefined || reason.code === at.verdict.reasons[0]?.code) return;
    const { name } = at.limits;
    this.#ports.log.info("verdict.changed", { outlet: name, window: verdict.window, reason: reason.code });
    // A relay's reply may name a recipient.
    this.#ports.log.debug("verdict.explained", { outlet: name, evidence: tellReason(reason) });
  }

  #windowSum(): number {
    return this.#outlets.reduce((sum, at) => sum + at.window, 0);
  }

  #mayWork(): boolean {
    return this.#phase === "working" && !this.#isJournalBroken && this.#orders?.is_paused === false;
  }

  // ---- what is there ---------------------------------------------------------------------------------------------

  #lookSoon(ms: number): void {
    this.#lookTimer?.cancel();
    this.#lookTimer = this.#ports.clock.after(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#isOver() || this.#isLooking) return;
    this.#isLooking = true;
    const look = await this.#attemptDatabase("queue.look_failed", () => this.#ports.queue.look(this.#cursor));
    this.#isLooking = false;
    if (look !== undefined) {
      this.#cursor = look.cursor;
      const nowUs = this.#databaseUs();
      for (const row of look.arrivals) this.#report(row.campaign_id, row.destination, row.due_us, nowUs, "arrived");
    }
    this.#backlog.wakeSleepers(this.#databaseUs());
    this.#kick();
    this.#lookSoon(LOOK_MS[this.#pace]);
  }

  #report(campaignId: CampaignId, destination: string, dueUs: number, nowUs: number, how: "arrived" | "found"): void {
    if (this.#running.has(campaignId)) this.#backlog.report(campaignId, destination, dueUs, nowUs, how);
  }

  #takeDiscovered(rows: readonly DestinationRow[], sinceUs: number): void {
    const nowUs = this.#databaseUs();
    for (const { campaign_id, destination, due_us } of rows) {
      // Discovery may see a newcomer before the arrivals tell of it.
      this.#report(campaign_id, destination, due_us, nowUs, due_us > sinceUs ? "arrived" : "found");
    }
    this.#kick();
  }

  /** The database's clock, as of its last word plus what has passed here since. */
  #databaseMs(): number {
    if (this.#orders === undefined) return this.#ports.clock.wallMs();
    return this.#orders.database_ms + this.#ports.clock.monotonicMs() - this.#ordersAtMs;
  }

  #databaseUs(): number {
    return Math.floor(this.#databaseMs() * 1000);
  }

  // ---- claim -----------------------------------------------------------------------------------------------------

  #kick(): void {
    void this.#claimIfLow();
    if (this.#ready.length > 0) for (const { outlet } of this.#outlets) outlet.wake();
  }

  async #claimIfLow(): Promise<void> {
    const rowsMax = this.#claimRoom();
    if (rowsMax <= 0) return;
    const wants = this.#backlog.pick(rowsMax, this.#running, (destination) => this.#roomOf(destination));
    if (wants.length === 0) return;
    this.#isClaiming = true;
    const rows = await this.#claim(wants);
    const arePrepared = rows !== undefined && (await this.#prepare(rows));
    this.#isClaiming = false;
    if (rows !== undefined) this.#takeClaimed(rows, arePrepared);
    if (this.#phase === "working") this.#kick();
    else this.#endIfDone();
  }

  async #prepare(rows: readonly ClaimedRow[]): Promise<boolean> {
    if (rows.length === 0) return true;
    const prepared = await this.#attemptDatabase("queue.prepare_failed", async () => {
      await this.#ports.queue.prepare(rows);
      return true;
    });
    return prepared === true;
  }

  #claimRoom(): number {
    const windowSum = this.#windowSum();
    if (this.#isClaiming || this.#isSettleInDoubt || !this.#mayWork() || !this.#isLeaseHeld() || windowSum === 0)
      return 0;
    // What cannot be settled must not pile up: after a reboot all of it would be unknown.
    if (this.#outcomes.length >= SETTLE_ROWS_MAX) return 0;
    const aheadMax = this.#aheadMax(windowSum);
    if (this.#ready.length > aheadMax / 2) return 0;
    return Math.min(aheadMax - this.#ready.length, CLAIM_ROWS_MAX[this.#pace]);
  }

  #aheadMax(windowSum: number): number {
    // Behind a closed window with one probe, one message is enough.
    if (windowSum === 1) return 1 - this.#open.size;
    const rows = Math.max(2 * windowSum, (this.#takenPerS * CLAIM_AHEAD_MS) / 1000);
    return Math.min(this.#lane.claimAheadMax, Math.ceil(rows));
  }

  #roomOf(destination: string): Room {
    const at = this.#destinations.get(destination);
    if (at === undefined) return { rows: this.#lane.claimAheadMax };
    const { window, changesAtMs } = this.#verdictOn(at);
    const isOpenWide = window > 1;
    const rows = (isOpenWide ? this.#lane.claimAheadMax : window) - at.claimed;
    if (changesAtMs === undefined) return { rows };
    return { rows, againAtUs: this.#databaseUs() + (changesAtMs - this.#ports.clock.monotonicMs()) * 1000 };
  }

  #verdictOn(at: DestinationAtWork): Verdict {
    return governDestination(at.readings, { openMax: this.#openPerDestinationMax }, this.#ports.clock.monotonicMs());
  }

  async #claim(wants: readonly Want[]): Promise<readonly ClaimedRow[] | undefined> {
    const { batchId, finishedIds } = this.#claims.open();
    const rows = await this.#attemptDatabase("queue.claim_failed", () =>
      this.#ports.queue.claim(wants, batchId, finishedIds),
    );
    if (rows === undefined) {
      this.#claims.notAnswered(finishedIds);
      for (const want of wants) this.#backlog.unanswered(want);
      // Rows of a claim whose answer was lost stay claimed until the lease ends: no one else may touch them either.
      this.#mayHaveLostClaims = true;
      return undefined;
    }
    this.#claims.took(batchId, rows);
    this.#hearAnswers(wants, rows);
    return rows;
  }

  #hearAnswers(wants: readonly Want[], rows: readonly ClaimedRow[]): void {
    const got = new Map<string, { n: number; lastDueUs: number }>();
    for (const row of rows) {
      const key = `${row.campaign_id} ${row.destination}`;
      const sum = got.get(key);
      if (sum === undefined) got.set(key, { n: 1, lastDueUs: row.due_us });
      else {
        sum.n++;
        sum.lastDueUs = Math.max(sum.lastDueUs, row.due_us);
      }
    }
    const short = wants.filter((want) => {
      const sum = got.get(`${want.campaignId} ${want.destination}`);
      return this.#backlog.answered(want, sum?.n ?? 0, sum?.lastDueUs) === "short";
    });
    if (short.length > 0) void this.#askNextDue(short);
  }

  async #askNextDue(short: readonly Want[]): Promise<void> {
    const rows = await this.#attemptDatabase("queue.next_due_failed", () => this.#ports.queue.nextDue(short));
    const nowUs = this.#databaseUs();
    // Not known: they are asked for again.
    if (rows === undefined)
      for (const want of short) this.#report(want.campaignId, want.destination, want.cursorUs, nowUs, "found");
    else for (const row of rows) this.#report(row.campaign_id, row.destination, row.due_us, nowUs, "found");
    if (rows?.length !== 0) this.#kick();
  }

  #takeClaimed(rows: readonly ClaimedRow[], arePrepared: boolean): void {
    for (const row of rows) {
      this.#destinationOf(row).claimed++;
      this.#ready.push(row);
    }
    if (!arePrepared) this.#giveBack((row) => rows.includes(row), "not_prepared");
    if (!this.#mayWork()) this.#giveBack(() => true, "stopped");
    else this.#giveBack((row) => !this.#running.has(row.campaign_id), "paused");
  }

  #destinationOf(row: ClaimedRow): DestinationAtWork {
    let at = this.#destinations.get(row.destination);
    if (at === undefined)
      this.#destinations.set(row.destination, (at = { readings: healthyDestination, claimed: 0, open: 0 }));
    return at;
  }

  #giveBack(isMeant: (row: ClaimedRow) => boolean, reason: string): void {
    const back = this.#ready.filter(isMeant);
    if (back.length === 0) return;
    this.#ready = this.#ready.filter((row) => !isMeant(row));
    this.#ports.log.debug("claim.given_back", { rows: back.length, reason });
    for (const row of back) this.#conclude(unclaimed(row));
  }

  // ---- carry -----------------------------------------------------------------------------------------------------

  #openOutlet(limits: OutletLimits): void {
    const at: OutletAtWork = {
      limits,
      readings: healthyOutlet,
      verdict: governOutlet(healthyOutlet, { openMax: limits.openMax, share: limits.share, gaveWay: false }, 0),
      window: 0,
      open: 0,
      outlet: this.#ports.openOutlet(limits.name, {
        take: () => this.#take(at),
        permitDots: (dots) => this.#permitDots(dots),
        finished: (token, result) => this.#finished(token, result),
      }),
    };
    this.#outlets.push(at);
  }

  #take(at: OutletAtWork): HandOver | undefined {
    while (this.#isLeaseHeld() && this.#mayWork() && at.open < at.window) {
      const row = this.#nextReady();
      if (row === undefined) {
        void this.#claimIfLow();
        return undefined;
      }
      const handOver = this.#carry(row, at);
      if (handOver !== undefined) return handOver;
    }
    return undefined;
  }

  #nextReady(): ClaimedRow | undefined {
    const index = this.#ready.findIndex((row) => {
      const destination = this.#destinations.get(row.destination)!;
      return destination.open < this.#verdictOn(destination).window;
    });
    if (index < 0) return undefined;
    const row = index === 0 ? this.#ready.shift() : this.#ready.splice(index, 1)[0];
    if (this.#ready.length <= this.#lane.claimAheadMax / 4) void this.#claimIfLow();
    return row;
  }

  /** From a claimed row to what an outlet can hand over; undefined when it ends before that. */
  #carry(row: ClaimedRow, at: OutletAtWork): HandOver | undefined {
    const attempt = row.attempts + 1;
    if (this.#databaseMs() >= this.#expiresAtMs(row)) {
      this.#conclude(expired(row));
      return undefined;
    }
    const composed = this.#composeOrHold(row, attempt);
    if (composed === undefined) return undefined;
    const token = `${row.message_id}.${attempt}`;
    this.#open.set(token, { row, attempt, outlet: at, isDotPermitted: false });
    at.open++;
    this.#takenCount++;
    this.#destinationOf(row).open++;
    return { token, ...composed };
  }

  #expiresAtMs(row: ClaimedRow): number {
    return Math.min(row.expires_ms ?? Infinity, row.accepted_ms + this.#lane.ttlMs);
  }

  #composeOrHold(row: ClaimedRow, attempt: number): { envelope: Envelope; content: Content } | undefined {
    const { journal } = this.#ports;
    const isSuspect = row.rescues > 0;
    if (isSuspect && !this.#noteOrGiveBack(row, () => journal.composing({ messageId: row.message_id, attempt })))
      return undefined;
    let composed;
    try {
      composed = this.#ports.compose(row, this.#ports.clock.wallMs());
    } catch (error) {
      this.#conclude(heldWith(row, error instanceof Error ? error.message : String(error)));
      return undefined;
    }
    return isSuspect && !this.#noteOrGiveBack(row, () => journal.flush()) ? undefined : composed;
  }

  /** A journal that cannot be written is no fault of the message's. */
  #noteOrGiveBack(row: ClaimedRow, write: () => void): boolean {
    try {
      write();
      return true;
    } catch (error) {
      this.#conclude(unclaimed(row));
      this.#breakJournal(error);
      return false;
    }
  }

  #permitDots(dots: readonly Dot[]): boolean {
    if (!this.#isLeaseHeld() || this.#isJournalBroken) return false;
    try {
      this.#ports.journal.dots(dots.map((dot) => this.#journalLine(dot)));
    } catch (error) {
      this.#breakJournal(error);
      return false;
    }
    for (const { token } of dots) this.#openAttempt(token).isDotPermitted = true;
    return true;
  }

  #journalLine({ token, clientPort }: Dot): Parameters<Journal["dots"]>[0][number] {
    const { row, attempt, outlet } = this.#openAttempt(token);
    return { messageId: row.message_id, attempt, outlet: outlet.limits.name, clientPort };
  }

  #breakJournal(error: unknown): void {
    this.#isJournalBroken = true;
    this.#ports.log.error("journal.write_failed", {
      error: String(error),
      remedy: "free space in data_dir or mend its permissions; the supervisor starts the dispatcher again",
    });
    this.drain();
  }

  #openAttempt(token: AttemptToken): OpenAttempt {
    const open = this.#open.get(token);
    assert(open !== undefined, `no attempt ${token} is open`);
    return open;
  }

  #finished(token: AttemptToken, result: AttemptResult): void {
    const open = this.#openAttempt(token);
    this.#open.delete(token);
    open.outlet.open--;
    this.#destinationOf(open.row).open--;
    const outcome = judgeAttempt(result, { outletType: "smtp" });
    this.#learn(open, outcome);
    const settlement = fateOf(open, outcome, result, {
      outletName: open.outlet.limits.name,
      lane: this.#lane,
      nowMs: this.#databaseMs(),
      monotonicMs: this.#ports.clock.monotonicMs(),
      expiresAtMs: this.#expiresAtMs(open.row),
      random: () => this.#ports.random.unit(),
    });
    this.#noteAnswer(open, settlement, outcome);
    if (outcome.kind === "sent" && open.row.attempts === 0) {
      this.#waiting.add(this.#databaseMs() - Math.max(open.row.accepted_ms, open.row.due_us / 1000));
    }
    this.#conclude(settlement);
    if (this.#ready.length > 0) open.outlet.outlet.wake();
  }

  // A reply that is lost with the process makes the message unknown, no worse: so it waits for the next write.
  #noteAnswer(open: OpenAttempt, { event }: Settlement, outcome: Outcome): void {
    if (!open.isDotPermitted || outcome.kind === "untried") return;
    const { kind } = outcome;
    this.#ports.journal.answer(
      { messageId: open.row.message_id, attempt: open.attempt },
      {
        kind,
        outlet: open.outlet.limits.name,
        host: event?.host ?? "",
        reply: event?.reply ?? "",
        isOwnFault: "scope" in outcome && (outcome.scope === "recipient" || outcome.scope === "message"),
      },
    );
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#ports.clock.soon(() => {
      this.#isFlushDue = false;
      try {
        this.#ports.journal.flush();
      } catch (error) {
        this.#breakJournal(error);
      }
    });
  }

  #learn({ row, outlet }: OpenAttempt, outcome: Outcome): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const destination = this.#destinationOf(row);
    if (outcome.kind === "untried") return;
    const isOutletToBlame = "scope" in outcome && outcome.scope === "outlet";
    if (isOutletToBlame) outlet.readings = recordFailure(outlet.readings, nowMs, outcome.reason);
    else if (outlet.readings !== healthyOutlet) outlet.readings = recordSuccess(outlet.readings);
    if (isOutletToBlame || outlet.verdict.window < outlet.limits.openMax * outlet.limits.share) this.#govern();
    if ("scope" in outcome && outcome.scope === "destination") {
      destination.readings = recordFailure(destination.readings, nowMs, outcome.reason);
      this.#giveBack((ready) => ready.destination === row.destination, "destination_failing");
    } else if (outcome.kind === "sent") destination.readings = healthyDestination;
  }

  // ---- settle ----------------------------------------------------------------------------------------------------

  #conclude(settlement: Settlement): void {
    const { row } = settlement;
    const destination = this.#destinationOf(row);
    destination.claimed--;
    if (destination.claimed === 0 && destination.readings === healthyDestination)
      this.#destinations.delete(row.destination);
    this.#backlog.freed(row.destination);
    if (this.#phase === "lease_lost") this.#late.push(settlement);
    else this.#outcomes.push(settlement);
    this.#settleSoon();
  }

  // Bulk lets a group gather: a commit costs the same for ten messages and for five hundred.
  #settleSoon(): void {
    if (this.#isSettleDue || this.#isSettling) return;
    this.#isSettleDue = true;
    const settle = (): void => {
      this.#isSettleDue = false;
      void this.#settle();
    };
    if (this.#pace === "bulk" && this.#phase === "working") this.#ports.clock.after(SETTLE_GATHER_MS, settle);
    else this.#ports.clock.soon(settle);
  }

  async #settle(): Promise<void> {
    if (this.#isSettling) return;
    this.#isSettling = true;
    while (this.#outcomes.length > 0) {
      await this.#settleGroup(this.#outcomes.splice(0, SETTLE_ROWS_MAX));
      if (this.#pace === "bulk" && this.#phase === "working" && this.#outcomes.length < SETTLE_ROWS_WANTED) break;
    }
    this.#isSettling = false;
    if (this.#outcomes.length > 0) this.#settleSoon();
    this.#endIfDone();
  }

  async #settleGroup(group: readonly Settlement[]): Promise<void> {
    let open = group;
    while (this.#phase !== "lease_lost") {
      const answer = await this.#attemptDatabase("queue.settle_failed", () => this.#ports.queue.settle(open));
      if (answer === "settled") {
        this.#isSettleInDoubt = false;
        return this.#forgetSettled(group);
      }
      if (answer === "lease_lost") this.#loseLease();
      else open = await this.#leaveOutClaimedAgain(open);
    }
    this.#late.push(...open);
  }

  // The try that failed may have been committed, and what it gave back may have been claimed again since: to settle that
  // once more would end the new claim. So no claim may come between this look and the answer to the next try.
  async #leaveOutClaimedAgain(group: readonly Settlement[]): Promise<readonly Settlement[]> {
    this.#isSettleInDoubt = true;
    while (this.#isClaiming) await this.#sleep(CLAIM_WAIT_MS);
    return group.filter(({ row }) => this.#claims.isLatest(row));
  }

  #forgetSettled(group: readonly Settlement[]): void {
    this.#settledTotal += group.length;
    this.#settledAtMs = this.#ports.clock.monotonicMs();
    for (const messageId of this.#claims.end(group.map(({ row }) => row))) this.#ports.journal.settled(messageId);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  #isOver(): boolean {
    return this.#ended === undefined;
  }

  #endIfDone(): void {
    if (this.#phase === "working" || this.#isSettling || this.#isClaiming) return;
    if (this.#open.size > 0 || this.#outcomes.length > 0) return;
    this.#lookTimer?.cancel();
    const isLost = this.#phase === "lease_lost" || this.#mayHaveLostClaims;
    this.#ended?.({ kind: isLost ? "lease_lost" : "drained", late: this.#late });
    this.#ended = undefined;
  }

  #pulse(): unknown {
    const { p50Ms, p99Ms, perS } = this.#waiting.lately();
    return {
      priority: this.#pace,
      in_flight: this.#open.size,
      ready: this.#ready.length,
      destinations: this.#backlog.size,
      rate_per_s: perS,
      settled_total: this.#settledTotal,
      settled_ms_ago: Math.round(this.#ports.clock.monotonicMs() - this.#settledAtMs),
      waiting_p50_ms: p50Ms,
      waiting_p99_ms: p99Ms,
      outlets: this.#outlets.map((at) => ({
        name: at.limits.name,
        window: at.window,
        open: at.open,
        reasons: at.verdict.reasons,
      })),
    };
  }

  async #attemptDatabase<T>(event: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#ports.log.warn(event, { error: error instanceof Error ? error.message : String(error) });
      await this.#sleep(DATABASE_RETRY_MS);
      return undefined;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#ports.clock.after(ms, resolve));
  }
}
