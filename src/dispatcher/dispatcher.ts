// One lane at work: claim what the governor permits, carry each message through compose and hand-over to its outcome,
// settle in groups. Assumes a lease that its caller acquired; starts nothing and permits no final dot past the lease's
// deadline. All time, database, files and sockets come in as ports, so that the same code runs in a simulation.
//
// A message moves: claimed → ready (in memory) → open (taken by an outlet) → outcome → settled. At most `claimAheadMax`
// are ready, at most the window is open, and one claim and one settle are under way at a time: what comes in meanwhile
// goes into the next, so a slow disk makes groups larger and not throughput smaller. What is signed is composed while it
// is ready, a little ahead (signing-rows.ts); all else is composed when it is taken.

import { strict as assert } from "node:assert";
import type { AttemptToken, Dot, HandOver, Outlet, OutletDriver } from "../handover/outlet.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import { NO_CAMPAIGN, type CampaignId, type LeaseId, type MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Pulse } from "../mail/pulse.ts";
import type { Reason } from "../mail/reasons.ts";
import type { AttemptName } from "../mail/return-token.ts";
import { judgeAttempt } from "../outcome/judge-reply.ts";
import type { RefusalTarget } from "../outcome/refusal-watch.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Random } from "../platform/random.ts";
import type { LaneOrders } from "../queue/lane-store.ts";
import type { SnapshotCursor } from "../postgres/snapshot-cursor.ts";
import type { ClaimedRow, DestinationRow, Want } from "../queue/queue-store.ts";
import { createBacklog, type Room } from "./backlog.ts";
import { createClaimBook } from "./claim-book.ts";
import { NotPrepared } from "./attachment-cache.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import type { Composed } from "./compose-message.ts";
import { createDestinations, type DestinationRules, type Destinations, type Route } from "./destinations.ts";
import { createDiscovery, type Discovery } from "./discovery.ts";
import { fateOf, expired, isTooLate, heldWith, postponed, refused, suppressed, unclaimed } from "./fate.ts";
import type { Journal } from "./journal.ts";
import type { LaneQueue, Settlement } from "./lane-queue.ts";
import { createOutletsAtWork, type OutletAtWork, type OutletLimits, type OutletsAtWork } from "./outlets-at-work.ts";
import { createReadyRows } from "./ready-rows.ts";
import { createRefusals, type Refusals } from "./refusals.ts";
import { createSettler, SETTLE_ROWS_MAX, type Settler } from "./settler.ts";
import { createSigningRows, SIGNED_MS_MAX, type Signed, type SigningRows } from "./signing-rows.ts";
import type { Surroundings } from "./verdict-store.ts";
import { createWaitingTimes } from "./waiting-times.ts";

export interface DispatcherSettings {
  readonly lane: LaneSettings;
  readonly leaseId: LeaseId;
  readonly leaseMs: number;
  /** Monotonic instant from before the lease was asked for. */
  readonly leaseAskedAtMs: number;
  readonly outlets: readonly OutletLimits[];
  /** Share of refusals of policy from which on bulk to a destination or outlet stops. */
  readonly maxRefusals: number;
}

export interface DispatcherPorts {
  readonly queue: LaneQueue;
  readonly journal: Journal;
  readonly openOutlet: (name: string, driver: OutletDriver) => Outlet;
  /** Throws what is wrong with this message, which is then held alone. Synchronous, but for its signature. */
  readonly compose: (row: ClaimedRow, wallMs: number) => Composed;
  /** It will be signed, as far as is known: so it is composed ahead. Absent: nothing is. */
  readonly isSigned?: (row: ClaimedRow) => boolean;
  /** Where failures of this attempt come home to (VERP). */
  readonly returnPath: (name: AttemptName) => string;
  /** Something stopped that only a person starts again. */
  readonly onAlarm: (line: string) => void;
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
/** Before a dispatcher takes its part of a window that others have: two turns of their orders, and one for what is open. */
const JOIN_MS = 3 * ORDERS_MS;
const PULSE_MS = 1000;
/** Rows of one claim. Larger claims cost a transactional message more when it comes behind one. */
const CLAIM_ROWS_MAX = { transactional: 100, bulk: 500 } as const;
/**
 * Ready rows last about this long: a newcomer stands behind them, and after a reboot they are unknown. Less would starve
 * the relay when a claim takes a quarter of a second.
 */
const CLAIM_AHEAD_MS = 500;
const DATABASE_RETRY_MS = 250;
/** How soon a destination on trial asks again whether the retry outlets have room. */
const RETRY_ROOM_MS = 250;
/** A retry for which the retry outlets have no room comes again after once to twice this long. */
const POSTPONED_MS = 30_000;
/** A message with attachments for which memory has no room comes again after once to twice this long. */
const MEMORY_MS = 500;
/** How long a dispatcher without a lease waits for replies to final dots that it wrote while it had it. */
const LATE_REPLY_MS_MAX = 10_000;
/** Part of the lease that is not used, against what clocks and schedulers do between asking and acting. */
const LEASE_MARGIN = 0.1;
/**
 * So many messages are composed for their signatures ahead of the outlets, or as many as may be open: a turn of the loop
 * in which much was settled takes as long as the threads need for these (with 64 there were often fewer than 5 under way).
 */
const SIGN_AHEAD_MIN = 128;
/** Bulk gives way while the transactional lane waits longer than this. */
const GIVE_WAY_WAITING_MS = 50;

interface OpenAttempt {
  readonly row: ClaimedRow;
  readonly attempt: number;
  readonly outlet: OutletAtWork;
  readonly takenAtMs: number;
  isDotPermitted: boolean;
}

/** What was found out about the rows of a claim before they become ready. */
interface Prepared {
  readonly suppressed: ReadonlyMap<MessageId, string>;
}

export function createDispatcher(settings: DispatcherSettings, ports: DispatcherPorts): Dispatcher {
  return new LaneDispatcher(settings, ports);
}

/** Clocks are corrected by a little all the time, and a message waits no longer for that. */
const CLOCK_BACK_MS = 5_000;
/** What is brought forward after it went back, so often and so far apart: longer than a claim is kept without a hand-over. */
const FORWARD_AGAIN = 6;
const FORWARD_PAUSE_MS = 10_000;

class LaneDispatcher implements Dispatcher {
  readonly #settings: DispatcherSettings;
  readonly #ports: DispatcherPorts;
  readonly #lane: LaneSettings;
  readonly #pace: "transactional" | "bulk";
  readonly #backlog = createBacklog();
  readonly #waiting;
  readonly #outlets: OutletsAtWork;
  readonly #destinations: Destinations;
  readonly #refusals: Refusals;
  readonly #ready = createReadyRows();
  readonly #signing: SigningRows;
  readonly #settler: Settler;
  readonly #open = new Map<AttemptToken, OpenAttempt>();
  readonly #claims = createClaimBook();
  readonly #discovery: Discovery;

  #running: ReadonlySet<CampaignId> = new Set();
  #orders: LaneOrders | undefined;
  #ordersAtMs = 0;
  #ordersCameAtMs = 0;
  #surroundings: Surroundings | undefined;
  #healthCursor: SnapshotCursor | undefined;
  #cursor: SnapshotCursor | undefined;
  #leaseEndsAtMs: number;
  #phase: "working" | "draining" | "lease_lost" = "working";
  #isClaiming = false;
  #mayHaveLostClaims = false;
  #isFlushDue = false;
  #isSigningDue = false;
  #isJournalBroken = false;
  #lookTimer: Timer | undefined;
  #isLooking = false;
  #ended: ((end: DispatcherEnd) => void) | undefined;

  constructor(settings: DispatcherSettings, ports: DispatcherPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#lane = settings.lane;
    this.#pace = settings.lane.priority;
    this.#outlets = createOutletsAtWork({ leaseId: settings.leaseId, priority: this.#pace }, ports);
    this.#destinations = createDestinations(destinationRules(settings));
    this.#refusals = createRefusals(settings.maxRefusals, {
      pause: (target, reason) => this.#pauseForRefusals(target, reason),
      onAlarm: ports.onAlarm,
    });
    this.#signing = createSigningRows({
      clock: ports.clock,
      compose: (row) => this.#composeAhead(row),
      signed: () => this.#outlets.wake(),
      mayGather: () => this.#pace === "bulk" && this.#phase === "working",
    });
    this.#waiting = createWaitingTimes(ports.clock);
    this.#leaseEndsAtMs = this.#deadlineAfter(settings.leaseAskedAtMs);
    this.#discovery = createDiscovery({
      clock: ports.clock,
      backlog: this.#backlog,
      readSlice: (campaignId, after, rowsMax) =>
        this.#attemptDatabase("queue.discover_failed", () => ports.queue.discover(campaignId, after, rowsMax)),
      found: (rows, sinceUs) => this.#takeDiscovered(rows, sinceUs),
      isOver: () => this.#isOver(),
    });
    this.#settler = createSettler({
      clock: ports.clock,
      settle: (group) => this.#attemptDatabase("queue.settle_failed", () => ports.queue.settle(group)),
      mayGather: () => this.#pace === "bulk" && this.#phase === "working",
      isClaiming: () => this.#isClaiming,
      isLatest: (row) => this.#claims.isLatest(row),
      settled: (group) => this.#forgetSettled(group),
      leaseLost: () => this.#loseLease(),
      idle: () => this.#endIfDone(),
    });
    for (const limits of settings.outlets) this.#outlets.open(limits, (at) => this.#driverOf(at));
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
    void this.#outlets.drain().then(() => this.#endIfDone());
    this.#endIfDone();
  }

  cut(): void {
    this.drain();
    this.#outlets.close();
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
    this.#signing.forget(this.#ready.take(() => true));
    this.#settler.endLease();
    this.#ports.clock.after(LATE_REPLY_MS_MAX, () => this.#outlets.close());
    void this.#outlets.drain().then(() => this.#endIfDone());
    this.#endIfDone();
  }

  // ---- orders and verdicts ---------------------------------------------------------------------------------------

  async #followOrders(): Promise<void> {
    while (!this.#isOver()) {
      const askedAtMs = this.#ports.clock.monotonicMs();
      const [orders] = await Promise.all([
        this.#attemptDatabase("orders.read_failed", () => this.#ports.queue.orders()),
        this.#lookAround(),
        this.#hearOfDestinations(),
      ]);
      if (orders !== undefined) this.#takeOrders(orders, askedAtMs);
      if (orders !== undefined && this.#mayHaveLostClaims) this.#makeRoomForRescue();
      this.#govern();
      this.#kick();
      await this.#sleep(ORDERS_MS);
    }
  }

  async #lookAround(): Promise<void> {
    const names = this.#settings.outlets.map(({ name }) => name);
    const surroundings = await this.#attemptDatabase("surroundings.read_failed", () =>
      this.#ports.queue.surroundings(names),
    );
    if (surroundings === undefined) return;
    this.#surroundings = surroundings;
    for (const step of this.#outlets.hear(surroundings)) {
      // Whoever loses takes the other's step with the next look.
      void this.#attemptDatabase("verdict.keep_failed", () => this.#ports.queue.keepVerdict(step));
    }
    const { stopped, resumed } = this.#refusals.heard(surroundings.pauses);
    this.#destinations.stop(stopped);
    for (const name of resumed) this.#backlog.freed(name);
    if (stopped.size > 0) this.#giveBack((row) => stopped.has(row.destination), "destination_paused");
  }

  async #hearOfDestinations(): Promise<void> {
    if (!this.#settings.outlets.some(({ isToldOf }) => isToldOf)) return;
    const heard = await this.#attemptDatabase("health.read_failed", () =>
      this.#ports.queue.healthChanges(this.#healthCursor),
    );
    if (heard === undefined) return;
    this.#healthCursor = heard.cursor;
    const names = this.#destinations.heard(heard.changed, this.#ports.clock.monotonicMs());
    this.#giveBackThrottled(names);
    for (const name of names) this.#backlog.freed(name);
  }

  // Rows of a claim whose answer was lost are nobody's until this lease ends; now that the database answers again, a new
  // dispatcher is the quickest way to them.
  #makeRoomForRescue(): void {
    if (this.#phase === "working") this.#ports.log.warn("claim.answer_lost", { lease_id: this.#settings.leaseId });
    this.drain();
  }

  #takeOrders(orders: LaneOrders, askedAtMs: number): void {
    // At least so much has passed at the database, too, however long either answer was under way.
    const passedMs = askedAtMs - this.#ordersCameAtMs - CLOCK_BACK_MS;
    if (this.#orders !== undefined && orders.database_ms < this.#orders.database_ms + passedMs) this.#followClockBack();
    this.#orders = orders;
    this.#ordersCameAtMs = this.#ports.clock.monotonicMs();
    this.#ordersAtMs = askedAtMs;
    const running = new Set<CampaignId>(orders.is_paused ? [] : [NO_CAMPAIGN, ...orders.campaign_ids]);
    for (const id of this.#running) if (!running.has(id)) this.#stopCampaign(id);
    this.#running = running;
    this.#discovery.follow(running, orders.database_ms * 1000);
  }

  // Messages that were due lie ahead of the clock now, and those that are claimed may be given back there.
  #followClockBack(again = FORWARD_AGAIN): void {
    if (this.#isOver()) return;
    void this.#attemptDatabase("queue.forward_failed", () => this.#ports.queue.bringForward()).then((messages) =>
      this.#ports.log.warn("queue.clock_went_back", { messages }),
    );
    if (again > 0) this.#ports.clock.after(FORWARD_PAUSE_MS, () => this.#followClockBack(again - 1));
  }

  #stopCampaign(id: CampaignId): void {
    this.#backlog.forgetCampaign(id);
    this.#giveBack((row) => row.campaign_id === id, "paused");
  }

  #govern(): void {
    this.#outlets.govern({
      mayWork: this.#mayWork(),
      isGivingWay: this.#isGivingWay(),
      leaseIds: this.#orders?.lease_ids ?? [],
      isNewcomer: this.#ports.clock.monotonicMs() < this.#settings.leaseAskedAtMs + JOIN_MS,
      databaseMs: this.#databaseMs(),
      surroundings: this.#surroundings,
      hasReady: (route) => this.#ready.count(route) > 0,
    });
    if (this.#outlets.windowSum("main") === 0) this.#giveBack((_, route) => route === "main", "window_closed");
    if (this.#outlets.windowSum("retry") === 0) this.#giveBack((_, route) => route === "retry", "window_closed");
  }

  #isGivingWay(): boolean {
    return this.#pace === "bulk" && (this.#orders?.others_waiting_ms ?? 0) > GIVE_WAY_WAITING_MS;
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
    if (this.#ready.size > 0) this.#outlets.wake();
    this.#signSoon();
  }

  async #claimIfLow(): Promise<void> {
    const rowsMax = this.#claimRoom();
    if (rowsMax <= 0) return;
    const wants = this.#backlog.pick(rowsMax, this.#running, this.#roomForOnePick());
    if (wants.length === 0) return;
    this.#isClaiming = true;
    const rows = await this.#claim(wants);
    const prepared = rows === undefined ? undefined : await this.#prepare(rows);
    this.#isClaiming = false;
    if (rows !== undefined) this.#takeClaimed(rows, prepared);
    if (this.#phase === "working") this.#kick();
    else this.#endIfDone();
  }

  /** Undefined: nothing is known of them, and none may go. */
  async #prepare(rows: readonly ClaimedRow[]): Promise<Prepared | undefined> {
    if (rows.length === 0) return { suppressed: new Map() };
    const names = this.#destinations.unheardOf(rows);
    return await this.#attemptDatabase("queue.prepare_failed", async () => {
      const [health, suppressedRows] = await Promise.all([
        names.length === 0 ? [] : this.#ports.queue.health(names),
        this.#ports.queue.suppressed(rows),
        this.#ports.queue.prepare(rows),
      ]);
      this.#destinations.heard(health, this.#ports.clock.monotonicMs(), names);
      return { suppressed: suppressedRows };
    });
  }

  // What would go by the outlets for retries waits while they have no room: each as long as those before it will take.
  #roomForOnePick(): (name: string) => Room {
    const moment = { nowMs: this.#ports.clock.monotonicMs(), databaseUs: this.#databaseUs() };
    const retryPerS = Math.max(1, this.#outlets.paceSum("retry"));
    let retryRows = this.#aheadMax("retry") - this.#ready.count("retry");
    return (name) => {
      const room = this.#destinations.roomOf(name, moment);
      if (room.isByRetry !== true) return room;
      if (retryRows-- > 0) return room;
      const waitMs = RETRY_ROOM_MS - (retryRows * 1000) / retryPerS;
      return { rows: 0, againAtUs: moment.databaseUs + Math.round(waitMs * 1000) };
    };
  }

  #claimRoom(): number {
    const windowSum = this.#outlets.windowSum("main");
    if (this.#isClaiming || this.#settler.isInDoubt || !this.#mayWork() || !this.#isLeaseHeld() || windowSum === 0)
      return 0;
    // What cannot be settled must not pile up: after a reboot all of it would be unknown.
    if (this.#settler.waiting >= SETTLE_ROWS_MAX) return 0;
    const aheadMax = this.#aheadMax("main");
    const ready = this.#ready.count("main");
    if (ready > aheadMax / 2) return 0;
    return Math.min(aheadMax - ready, CLAIM_ROWS_MAX[this.#pace]);
  }

  #aheadMax(route: Route): number {
    const windowSum = this.#outlets.windowSum(route);
    // Behind a closed window with one probe, one message is enough.
    if (windowSum === 1) return route === "main" ? 1 - this.#open.size : 1;
    const rows = Math.max(2 * windowSum, (this.#outlets.takenPerS(route) * CLAIM_AHEAD_MS) / 1000);
    const bySecond = Math.max(1, (this.#outlets.paceSum(route) * 2 * CLAIM_AHEAD_MS) / 1000);
    return Math.ceil(Math.min(this.#lane.claimAheadMax, rows, bySecond));
  }

  async #claim(wants: readonly Want[]): Promise<readonly ClaimedRow[] | undefined> {
    const { batchId, finishedIds } = this.#claims.open();
    const rows = await this.#attemptDatabase("queue.claim_failed", () =>
      this.#ports.queue.claim(wants, batchId, finishedIds, this.#orders?.editions ?? []),
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

  #takeClaimed(rows: readonly ClaimedRow[], prepared: Prepared | undefined): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const row of rows) {
      this.#destinations.claimed(row);
      const because = prepared?.suppressed.get(row.message_id);
      if (because !== undefined) {
        this.#conclude(suppressed(row, because));
        continue;
      }
      const route = this.#destinations.routeOf(row, nowMs);
      const hasRoom = route === "main" || this.#ready.count("retry") < this.#aheadMax("retry");
      if (hasRoom) this.#addReady(row, route);
      else this.#conclude(this.#destinations.isOnTrial(row, nowMs) ? unclaimed(row) : this.#postponed(row));
    }
    this.#giveBackThrottled(new Set(rows.map(({ destination }) => destination)));
    if (prepared === undefined) this.#giveBack((row) => rows.includes(row), "not_prepared");
    if (!this.#mayWork()) this.#giveBack(() => true, "stopped");
    else this.#giveBack((row) => !this.#running.has(row.campaign_id), "paused");
  }

  #addReady(row: ClaimedRow, route: Route): void {
    this.#ready.add(row, route);
    if (this.#ports.isSigned?.(row) === true) this.#signing.add(row, route);
  }

  /** The budget for retries is used up: the row comes again, and what is fresh is not kept waiting by it. */
  #postponed(row: ClaimedRow): Settlement {
    return postponed(row, POSTPONED_MS * (1 + this.#ports.random.unit()));
  }

  /** What destinations had claimed before it was known that they fail, or have yet to prove themselves. */
  #giveBackThrottled(names: Iterable<string>): void {
    const moment = { nowMs: this.#ports.clock.monotonicMs(), databaseUs: this.#databaseUs() };
    const excess = new Map<string, number>();
    for (const name of names) {
      const { rows } = this.#destinations.roomOf(name, moment);
      if (rows < 0) excess.set(name, -rows);
    }
    if (excess.size === 0) return;
    this.#giveBack(({ destination }) => {
      const left = excess.get(destination) ?? 0;
      if (left > 0) excess.set(destination, left - 1);
      return left > 0;
    }, "destination_throttled");
  }

  #giveBack(isMeant: (row: ClaimedRow, route: Route) => boolean, reason: string): void {
    const back = this.#ready.take(isMeant);
    if (back.length === 0) return;
    this.#signing.forget(back);
    this.#ports.log.debug("claim.given_back", { rows: back.length, reason });
    for (const row of back) this.#conclude(unclaimed(row));
  }

  // ---- sign ------------------------------------------------------------------------------------------------------

  #signSoon(): void {
    if (this.#isSigningDue || this.#signing.size === 0) return;
    this.#isSigningDue = true;
    this.#ports.clock.soon(() => {
      this.#isSigningDue = false;
      this.#signAhead();
    });
  }

  // Half of the places are only for what could go at once. In the other half may be as much again of a destination as
  // may be open: else each message to it would wait for its signature after the one before had gone, and with all of the
  // places a slow destination would keep the others from being signed.
  #signAhead(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const route of ["main", "retry"] as const) {
      if (!this.#isLeaseHeld() || !this.#mayWork()) return;
      this.#signing.startAhead(route, this.#signAheadMax(route), (row, begunThere, isFirstHalf) =>
        this.#destinations.isOpenTo(row, nowMs, begunThere, isFirstHalf ? 2 : 1),
      );
    }
  }

  /** No more than goes out before it is too old. */
  #signAheadMax(route: Route): number {
    const windowSum = this.#outlets.windowSum(route);
    if (windowSum === 0) return 0;
    const byAge = Math.max(1, (this.#outlets.paceSum(route) * SIGNED_MS_MAX) / 2000);
    return Math.ceil(Math.min(this.#lane.claimAheadMax, Math.max(SIGN_AHEAD_MIN, windowSum), byAge));
  }

  /** Undefined: the journal cannot be written, and with all others this row was given back. */
  #composeAhead(row: ClaimedRow): Composed | undefined {
    try {
      return this.#composeNoted(row);
    } catch (error) {
      if (!(error instanceof JournalBroken)) throw error;
      this.#breakJournal(error.cause);
      return undefined;
    }
  }

  // ---- carry -----------------------------------------------------------------------------------------------------

  #driverOf(at: OutletAtWork): OutletDriver {
    return {
      take: () => this.#take(at),
      permitDots: (dots) => this.#permitDots(dots),
      finished: (token, result) => this.#finished(token, result),
    };
  }

  #take(at: OutletAtWork): HandOver | undefined {
    while (this.#isLeaseHeld() && this.#mayWork()) {
      const row = this.#nextReady(at.limits.route);
      if (row === undefined) {
        void this.#claimIfLow();
        this.#signSoon();
        return undefined;
      }
      if (!this.#outlets.mayTake(at)) {
        this.#ready.putBack(row, at.limits.route);
        return undefined;
      }
      const handOver = this.#carry(row, at);
      if (handOver !== undefined) return handOver;
    }
    return undefined;
  }

  #nextReady(route: Route): ClaimedRow | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    const isAnySigned = this.#ready.count(route) > this.#signing.unsigned(route);
    const mayGo = (one: ClaimedRow): boolean =>
      this.#signing.isTakeable(one) && this.#destinations.isOpenTo(one, nowMs);
    const row = isAnySigned ? this.#ready.next(route, mayGo) : undefined;
    if (this.#ready.count("main") <= this.#lane.claimAheadMax / 4) void this.#claimIfLow();
    return row;
  }

  /** From a claimed row to what an outlet can hand over; undefined when it ends before that. */
  #carry(row: ClaimedRow, at: OutletAtWork): HandOver | undefined {
    const attempt = row.attempts + 1;
    const signed = this.#signing.take(row);
    this.#signSoon();
    if (isTooLate(row, this.#lane, this.#databaseMs())) {
      this.#conclude(expired(row));
      return undefined;
    }
    const composed = this.#composedOrHold(row, at.limits.route, signed);
    if (composed === undefined) return undefined;
    const token = `${row.message_id}.${attempt}`;
    this.#open.set(token, {
      row,
      attempt,
      outlet: at,
      takenAtMs: this.#ports.clock.monotonicMs(),
      isDotPermitted: false,
    });
    this.#outlets.took(at);
    this.#destinations.opened(row);
    const { content, envelope } = composed;
    // A null sender stays one: nobody is to be told of the failure of a notice (RFC 5321 §4.5.5).
    if (!at.limits.isVerp || envelope.sender === "") return { token, envelope, content };
    const sender = this.#ports.returnPath({ messageId: row.message_id, attempt });
    return { token, envelope: { recipient: envelope.recipient, sender, wantsHeadersOnly: true }, content };
  }

  #expiresAtMs(row: ClaimedRow): number {
    return Math.min(row.expires_ms ?? Infinity, row.accepted_ms + this.#lane.ttlMs);
  }

  #composedOrHold(row: ClaimedRow, route: Route, signed: Signed | undefined): ComposedMail | undefined {
    try {
      if (signed?.kind === "signed") return signed.composed;
      if (signed?.kind === "failed") throw signed.error;
      const composed = this.#composeNoted(row);
      if (!("octets" in composed)) return composed;
      // It got its key after it was claimed.
      this.#ready.putBack(row, route);
      this.#signing.adopt(row, route, composed);
    } catch (error) {
      if (error instanceof JournalBroken) {
        this.#conclude(unclaimed(row));
        this.#breakJournal(error.cause);
      } else if (error instanceof NotPrepared) {
        this.#conclude(postponed(row, MEMORY_MS * (1 + this.#ports.random.unit())));
      } else this.#conclude(heldWith(row, error instanceof Error ? error.message : String(error)));
    }
    return undefined;
  }

  // A suspect's name is in the journal as long as it is being composed. Not while it is signed: what is signed of it is a
  // digest, in which nothing of a message can do harm.
  #composeNoted(row: ClaimedRow): Composed {
    const { journal } = this.#ports;
    const isSuspect = row.rescues > 0;
    const attempt = { messageId: row.message_id, attempt: row.attempts + 1 };
    if (isSuspect) writeJournal(() => journal.composing(attempt));
    const composed = this.#ports.compose(row, this.#ports.clock.wallMs());
    if (isSuspect) writeJournal(() => journal.flush());
    return composed;
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
    const outcome = judgeAttempt(result, { outletType: "smtp" });
    const nowMs = this.#ports.clock.monotonicMs();
    this.#destinations.closed(open.row, outcome.kind === "sent", nowMs);
    this.#outlets.finished(open.outlet, result, outcome, nowMs - open.takenAtMs);
    this.#learn(open, outcome);
    const settlement = this.#settlementOf(open, outcome, result);
    this.#noteAnswer(open, settlement, outcome);
    if (outcome.kind === "sent" && open.row.attempts === 0) {
      this.#waiting.add(this.#databaseMs() - Math.max(open.row.accepted_ms, open.row.due_us / 1000));
    }
    this.#conclude(settlement);
    if (this.#ready.size > 0) open.outlet.outlet.wake();
  }

  #settlementOf(open: OpenAttempt, outcome: Outcome, result: AttemptResult): Settlement {
    const settlement = fateOf(open, outcome, result, {
      outletName: open.outlet.limits.name,
      lane: this.#lane,
      nowMs: this.#databaseMs(),
      monotonicMs: this.#ports.clock.monotonicMs(),
      expiresAtMs: this.#expiresAtMs(open.row),
      random: () => this.#ports.random.unit(),
    });
    if (this.#pace !== "bulk") return settlement;
    const nowMs = this.#ports.clock.monotonicMs();
    const judged = this.#refusals.judge(open.row, open.outlet.limits.name, result, outcome, nowMs);
    return judged === "as_it_is" ? settlement : refused(settlement, judged);
  }

  async #pauseForRefusals(target: RefusalTarget, reason: Reason): Promise<void> {
    const isMeant = (row: ClaimedRow): boolean => target.kind === "destination" && row.destination === target.name;
    this.#giveBack(isMeant, "policy_refusals");
    this.#ports.log.error("refusals.stopped", { ...target, ...reason.evidence, reply: undefined });
    while (!this.#isOver()) {
      const isWritten = await this.#attemptDatabase("pause.write_failed", async () => {
        await this.#ports.queue.pause(target, reason);
        return true;
      });
      if (isWritten === true) return;
    }
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
    if (outcome.kind === "untried") return;
    const isOutletToBlame = "scope" in outcome && outcome.scope === "outlet";
    if (isOutletToBlame || outlet.verdict.window < outlet.limits.openMax * outlet.limits.share) this.#govern();
    if ("scope" in outcome && outcome.scope === "destination") {
      this.#destinations.failed(row.destination, this.#ports.clock.monotonicMs(), outcome.reason);
      this.#giveBack((ready) => ready.destination === row.destination, "destination_failing");
    } else if (outcome.kind === "sent") this.#destinations.answered(row.destination);
  }

  // ---- settle ----------------------------------------------------------------------------------------------------

  #conclude(settlement: Settlement): void {
    const { row } = settlement;
    this.#destinations.concluded(row);
    this.#backlog.freed(row.destination);
    this.#settler.add(settlement);
  }

  #forgetSettled(group: readonly Settlement[]): void {
    for (const messageId of this.#claims.end(group.map(({ row }) => row))) this.#ports.journal.settled(messageId);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  #isOver(): boolean {
    return this.#ended === undefined;
  }

  #endIfDone(): void {
    if (this.#phase === "working" || this.#settler.isSettling || this.#isClaiming) return;
    if (this.#open.size > 0 || this.#settler.waiting > 0) return;
    this.#lookTimer?.cancel();
    const isLost = this.#phase === "lease_lost" || this.#mayHaveLostClaims;
    this.#ended?.({ kind: isLost ? "lease_lost" : "drained", late: this.#settler.late });
    this.#ended = undefined;
  }

  #pulse(): Pulse {
    const { p50Ms, p99Ms, perS } = this.#waiting.lately();
    const { lastMs, usualMs, groupMean } = this.#settler.commits.turn();
    return {
      priority: this.#pace,
      in_flight: this.#open.size,
      ready: this.#ready.size,
      destinations: this.#backlog.size,
      rate_per_s: perS,
      settled_total: this.#settler.settledTotal,
      settled_ms_ago: Math.round(this.#ports.clock.monotonicMs() - this.#settler.settledAtMs),
      waiting_p50_ms: p50Ms,
      waiting_p99_ms: p99Ms,
      commit_ms: lastMs,
      commit_usual_ms: usualMs,
      settle_group: groupMean,
      outlets: this.#outlets.pulse(),
      throttled: this.#destinations.throttled(this.#ports.clock.monotonicMs()),
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

/** That the journal cannot be written is no fault of the message's. */
class JournalBroken extends Error {}

function writeJournal(write: () => void): void {
  try {
    write();
  } catch (cause) {
    throw new JournalBroken("the journal cannot be written", { cause });
  }
}

function destinationRules({ lane, outlets }: DispatcherSettings): DestinationRules {
  return {
    openMax: outlets.reduce((sum, limits) => sum + limits.openPerDestinationMax, 0),
    claimAheadMax: lane.claimAheadMax,
    isToldOf: outlets.some(({ isToldOf }) => isToldOf),
    hasRetryOutlets: outlets.some(({ route }) => route === "retry"),
    mustProve: lane.priority === "bulk" && outlets.some(({ route }) => route === "retry"),
  };
}
