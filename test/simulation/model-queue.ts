// The database, as much of it as a dispatcher sees: rows, leases, claims, snapshots, events, with the semantics of the
// statements in src/queue (each model function names its original in a comment). It stands on a machine of its own: its
// clock is not the dispatchers', its answers take time, and a call may fail before its effect, after it, or fail first
// and have its effect later.
//
// It refuses what must never happen with a Violation: a transition that is not in the table, a settlement of a row that
// is not in the state it claims, a claimed row that no rescuer could find.

import { rescueRow, believedUnder } from "../../src/dispatcher/rescue-decision.ts";
import type { JournalAnswer, JournalEvidence } from "../../src/dispatcher/journal.ts";
import type { LaneQueue, Settlement } from "../../src/dispatcher/lane-queue.ts";
import type { Pause } from "../../src/dispatcher/verdict-store.ts";
import type { CampaignId, LaneId, LeaseId, MessageId } from "../../src/mail/ids.ts";
import type { LaneSettings } from "../../src/mail/lane.ts";
import type { Reason } from "../../src/mail/reasons.ts";
import type { RefusalTarget } from "../../src/outcome/refusal-watch.ts";
import { isSettled, mayBecome, type State, type WaitingState } from "../../src/mail/state.ts";
import type { SnapshotCursor } from "../../src/postgres/snapshot-cursor.ts";
import type { Random } from "../../src/platform/random.ts";
import type { LaneOrders } from "../../src/queue/lane-store.ts";
import type { ClaimedUnderLease } from "../../src/queue/lease-store.ts";
import {
  KEEP_DUE,
  type ClaimedRow,
  type DestinationRow,
  type Edition,
  type Want,
} from "../../src/queue/queue-store.ts";
import { EPOCH_MS, type Life, type Owner, type VirtualTime } from "./virtual-clock.ts";
import { mustHold } from "./violation.ts";

export interface ModelRow {
  readonly id: MessageId;
  readonly laneId: LaneId;
  readonly campaignId: CampaignId;
  readonly destination: string;
  readonly recipient: string;
  readonly acceptedMs: number;
  readonly expiresMs: number | null;
  dueUs: number;
  tx: number;
  leaseId: LeaseId | undefined;
  attempts: number;
  tries: number;
  rescues: number;
  version: number | null;
  state: WaitingState;
}

export type NewMessage = Pick<ModelRow, "laneId" | "campaignId" | "destination" | "recipient"> & {
  /** From its transaction's start on. */
  readonly dueInMs?: number;
  readonly expiresInMs?: number;
};

interface ModelLease {
  readonly laneId: LaneId;
  readonly batches: Map<number, readonly MessageId[]>;
  deadlineMs: number;
  /** Settling transactions that hold the row FOR SHARE. */
  sharedBy: number;
  pulse: { readonly priority?: string; readonly waiting_p99_ms?: number | null } | undefined;
}

export interface ModelEvent {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly kind: string;
  readonly version: number | null;
}

/** How a call to the database fares. `late`: the caller is told of a failure, and the effect comes afterwards. */
export interface CallFate {
  readonly kind: "answered" | "failed_before" | "failed_after" | "failed_late";
  readonly thereMs: number;
  readonly backMs: number;
}

/** Longer than a dispatcher waits before it asks again. */
const LATE_MS = 600;

export interface ModelDatabaseSettings {
  readonly lanes: ReadonlyMap<LaneId, LaneSettings>;
  readonly leaseMs: number;
  readonly fateOfCall: (name: string) => CallFate;
  /** How far the database's clock is ahead of the dispatchers'. */
  readonly clockSkewMs: number;
  /** Planted by the canary: settling does not compare the lease. */
  readonly settlesWithoutLease?: boolean;
  /** Planted by the canary: nobody is ever said to be suppressed. */
  readonly forgetsSuppressed?: boolean;
  /** Planted by the canary: what a rescuer settles is told without the version of its claim. */
  readonly rescueForgetsVersion?: boolean;
}

export class ModelDatabase {
  readonly rows = new Map<MessageId, ModelRow>();
  readonly leases = new Map<LeaseId, ModelLease>();
  readonly events: ModelEvent[] = [];
  readonly states = new Map<MessageId, State>();
  readonly runningCampaigns = new Set<CampaignId>();
  /** `message attempt` of all that were ever recorded unknown. */
  readonly unknownAttempts = new Set<string>();
  /** Messages whose recipient has come onto the suppression list. */
  readonly suppressed = new Set<MessageId>();
  /** `message attempt` of all that were claimed after that: they must never be handed over. */
  readonly forbiddenAttempts = new Set<string>();
  /** `message attempt` → the version of its campaign's template that it was claimed with; the first, 1, for all others. */
  readonly claimedVersions = new Map<string, number>();
  readonly #editions = new Map<CampaignId, Edition>();
  isPaused = false;
  /** What dispatchers have stopped for its refusals; nobody resumes it. */
  pauses: Pause[] = [];
  #isChanged = false;
  /** What each living dispatcher believes to have claimed and has not yet given to a settle. */
  readonly #holdings = new Map<LeaseId, { readonly life: Life; readonly rows: Map<MessageId, ClaimedRow> }>();
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #settings: ModelDatabaseSettings;
  readonly #openTransactions = new Set<number>();
  #nextTx = 100;
  #nextMessageId = 1;
  #nextLeaseId = 1;

  constructor(time: VirtualTime, random: Random, settings: ModelDatabaseSettings) {
    this.#time = time;
    this.#random = random;
    this.#settings = settings;
  }

  nowMs(): number {
    return EPOCH_MS + this.#settings.clockSkewMs + this.#time.nowMs;
  }

  /** One transaction of the site: its rows are seen from its commit on, however old they are by then. */
  enqueue(messages: readonly NewMessage[], commitAfterMs: number): void {
    const tx = this.#begin();
    const acceptedMs = this.nowMs();
    const rows = messages.map(({ dueInMs = 0, expiresInMs, ...message }) => ({
      ...message,
      id: this.#nextMessageId++ as MessageId,
      acceptedMs,
      expiresMs: expiresInMs === undefined ? null : acceptedMs + expiresInMs,
      dueUs: Math.floor((acceptedMs + dueInMs) * 1000),
      tx,
      leaseId: undefined,
      attempts: 0,
      tries: 0,
      rescues: 0,
      version: null,
      state: dueInMs > 0 ? ("scheduled" as const) : ("queued" as const),
    }));
    this.#time.after(undefined, commitAfterMs, () => {
      this.#openTransactions.delete(tx);
      this.#isChanged = true;
      for (const row of rows) {
        this.rows.set(row.id, row);
        this.states.set(row.id, row.state);
      }
    });
  }

  // campaign-store.ts: ADD_VERSION. A version's content has its number: all messages are of content 1.
  edit(campaignId: CampaignId): void {
    const version = (this.#editions.get(campaignId)?.version ?? 1) + 1;
    this.#editions.set(campaignId, { campaign_id: campaignId, version, content_id: version });
  }

  // lease-store.ts: ACQUIRE
  async acquireLease(life: Life, laneId: LaneId): Promise<LeaseId> {
    return await this.#call(life, "acquire", () => {
      const id = this.#nextLeaseId++ as LeaseId;
      const deadlineMs = this.nowMs() + this.#settings.leaseMs;
      this.leases.set(id, { laneId, batches: new Map(), deadlineMs, sharedBy: 0, pulse: undefined });
      return id;
    });
  }

  isLeaseLive(leaseId: LeaseId): boolean {
    return (this.leases.get(leaseId)?.deadlineMs ?? -Infinity) > this.nowMs();
  }

  // lease-store.ts: END, when a dispatcher has drained
  async endLease(life: Life, leaseId: LeaseId): Promise<void> {
    await this.#call(life, "end_lease", () => {
      const claimed = [...this.rows.values()].filter((row) => row.leaseId === leaseId);
      mustHold(claimed.length === 0, `lease ${leaseId} was ended while message ${claimed[0]?.id} was claimed under it`);
      this.leases.delete(leaseId);
    });
  }

  overdueLeases(graceMs: number): readonly LeaseId[] {
    return [...this.leases].filter(([, { deadlineMs }]) => this.nowMs() - deadlineMs >= graceMs).map(([id]) => id);
  }

  laneQueueOf(life: Life, laneId: LaneId, leaseId: LeaseId): LaneQueue {
    const holdings = { life, rows: new Map<MessageId, ClaimedRow>() };
    this.#holdings.set(leaseId, holdings);
    return {
      look: (cursor) => this.#call(life, "look", () => this.#look(laneId, cursor)),
      discover: (campaignId, after, rowsMax) =>
        this.#call(life, "discover", () => this.#discover(laneId, campaignId, after, rowsMax)),
      nextDue: (wants) => this.#call(life, "next_due", () => wants.flatMap((want) => this.#nextDue(laneId, want))),
      claim: async (wants, batchId, finishedBatchIds, editions) => {
        const rows = await this.#call(life, "claim", () =>
          this.#claim({ laneId, leaseId, wants, batchId, finishedBatchIds, editions }),
        );
        this.#isChanged = true;
        for (const row of rows) holdings.rows.set(row.message_id, row);
        return rows;
      },
      settle: async (group) => {
        for (const { row } of group) {
          if (holdings.rows.get(row.message_id) === row) holdings.rows.delete(row.message_id);
        }
        return await this.#settle(life, leaseId, group);
      },
      orders: () => this.#call(life, "orders", () => this.#orders(laneId)),
      renew: (pulse) => this.#call(life, "renew", () => this.#renew(leaseId, pulse)),
      surroundings: () =>
        this.#call(life, "surroundings", () => ({ outlets: [], users: [], pauses: [...this.pauses] })),
      keepVerdict: () => this.#call(life, "keep_verdict", () => true),
      health: () => this.#call(life, "health", () => []),
      healthChanges: () => this.#call(life, "health", () => ({ cursor: { xmax: "0", open: [] }, changed: [] })),
      // Its clock never goes back.
      bringForward: () => this.#call(life, "bringForward", () => 0),
      pause: (target, reason) => this.#call(life, "pause", () => this.#pause(target, reason)),
      prepare: () => this.#call(life, "prepare", () => undefined),
      suppressed: (rows) => this.#call(life, "suppressed", () => this.#suppressedAmong(rows)),
    };
  }

  /** pause-store.ts: PAUSE. */
  #pause(target: RefusalTarget, reason: Reason): void {
    const isThere = this.pauses.some(({ kind, name }) => kind === target.kind && name === target.name);
    if (!isThere) this.pauses.push({ ...target, since: "now", reason });
  }

  /** rescue.ts: rescueLease. False: somebody else has rescued it. */
  async rescueLease(
    life: Life,
    leaseId: LeaseId,
    evidence: JournalEvidence | undefined,
    bootId: string,
  ): Promise<boolean> {
    const believed = believedUnder(bootId, evidence);
    for (;;) {
      const answer = await this.#call(life, "rescue", () => {
        const lease = this.leases.get(leaseId);
        if (lease === undefined) return "gone";
        // FOR UPDATE waits for a settle that holds the lease.
        if (lease.sharedBy > 0) return "locked";
        const lane = this.#settings.lanes.get(lease.laneId)!;
        const context = { lane, nowMs: this.nowMs(), random: () => this.#random.unit() };
        const claimed = this.#claimedUnder(lease, leaseId).map((row) =>
          this.#settings.rescueForgetsVersion === true ? { ...row, version: null } : row,
        );
        const group = claimed.map((row) => rescueRow(row, believed, context));
        this.#apply(leaseId, group, this.#commitNow());
        this.leases.delete(leaseId);
        return "rescued";
      });
      if (answer !== "locked") return answer === "rescued";
      await new Promise<void>((resolve) => void this.#time.after(life, 2, resolve));
    }
  }

  /** rescue.ts: settleLate */
  async settleLate(
    life: Life,
    late: readonly { readonly messageId: MessageId; readonly attempt: number; readonly answer: JournalAnswer }[],
  ): Promise<void> {
    if (late.length === 0) return;
    await this.#call(life, "settle_late", () => {
      for (const { messageId, attempt, answer } of late) {
        const row = this.rows.get(messageId);
        if (row?.state !== "unknown" || row.leaseId !== undefined || row.attempts !== attempt) continue;
        if (answer.kind === "unknown") continue;
        this.#become(row, answer.kind);
        // unknown-store.ts: VERSION. The row may have been claimed with another one since, and given back.
        const told = this.events.findLast(
          (event) => event.messageId === messageId && event.attempt === attempt && event.kind === "unknown",
        );
        this.events.push({ messageId, attempt, kind: answer.kind, version: told!.version });
        if (answer.kind !== "deferred") this.rows.delete(messageId);
        else {
          row.dueUs = Math.floor(this.nowMs() * 1000);
          row.tx = this.#commitNow();
        }
      }
    });
  }

  /** Called after every step; most of them change nothing here. */
  checkInvariants(): void {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    for (const [leaseId, { life, rows }] of this.#holdings) {
      if (!life.isAlive || !this.leases.has(leaseId)) {
        this.#holdings.delete(leaseId);
        continue;
      }
      for (const id of rows.keys()) {
        const by = this.rows.get(id)?.leaseId;
        mustHold(by === leaseId, `lease ${leaseId} works on message ${id}, which is claimed under ${by ?? "no lease"}`);
      }
    }
    const findable = new Map([...this.leases].map(([id, { batches }]) => [id, new Set([...batches.values()].flat())]));
    for (const row of this.rows.values()) {
      mustHold(
        this.states.get(row.id) === row.state,
        `the books have message ${row.id} in another state than the queue`,
      );
      if (row.leaseId === undefined) continue;
      const isFound = findable.get(row.leaseId)?.has(row.id) === true;
      mustHold(isFound, `message ${row.id} is claimed under lease ${row.leaseId} and no rescuer would find it`);
    }
    for (const [id, state] of this.states) {
      mustHold(
        isSettled(state) !== this.rows.has(id),
        `message ${id} is ${state} and ${this.rows.has(id) ? "" : "not "}queued`,
      );
    }
  }

  // ---- the statements --------------------------------------------------------------------------------------------

  // queue-store.ts: LOOK
  #look(laneId: LaneId, cursor: SnapshotCursor | undefined) {
    const { xmax, open } = cursor ?? { xmax: "Infinity", open: [] };
    const first = new Map<string, DestinationRow>();
    for (const row of this.rows.values()) {
      const isNew = row.tx >= Number(xmax) || open.includes(String(row.tx));
      if (!isNew || row.laneId !== laneId || row.leaseId !== undefined || row.dueUs === Infinity) continue;
      const key = `${row.campaignId} ${row.destination}`;
      const known = first.get(key);
      if (known === undefined || row.dueUs < known.due_us) first.set(key, destinationRow(row));
    }
    return {
      cursor: { xmax: String(this.#nextTx), open: [...this.#openTransactions].map(String) },
      arrivals: [...first.values()],
    };
  }

  // queue-store.ts: DISCOVER
  #discover(laneId: LaneId, campaignId: CampaignId, after: string, rowsMax: number): readonly DestinationRow[] {
    const first = new Map<string, DestinationRow>();
    for (const row of this.#rowsOf(laneId, campaignId)) {
      if (row.destination <= after || first.has(row.destination)) continue;
      const dueUs = row.dueUs === Infinity ? Date.UTC(9999) * 1000 : row.dueUs;
      first.set(row.destination, { ...destinationRow(row), due_us: dueUs });
    }
    const sorted = [...first.values()].toSorted((one, other) => (one.destination < other.destination ? -1 : 1));
    return sorted.slice(0, rowsMax);
  }

  // queue-store.ts: NEXT_DUE
  #nextDue(laneId: LaneId, { campaignId, destination }: Pick<Want, "campaignId" | "destination">): DestinationRow[] {
    const next = this.#rowsOf(laneId, campaignId).find(
      (row) => row.destination === destination && row.leaseId === undefined && row.dueUs < Infinity,
    );
    return next === undefined ? [] : [destinationRow(next)];
  }

  // queue-store.ts: CLAIM. A row that somebody else has locked just now is skipped: one in fifty.
  #claim(given: {
    readonly laneId: LaneId;
    readonly leaseId: LeaseId;
    readonly wants: readonly Want[];
    readonly batchId: number;
    readonly finishedBatchIds: readonly number[];
    readonly editions: readonly Edition[];
  }): readonly ClaimedRow[] {
    const { laneId, leaseId, wants, batchId, finishedBatchIds, editions } = given;
    const lease = this.leases.get(leaseId);
    if (lease === undefined) return [];
    mustHold(!lease.batches.has(batchId), `batch ${batchId} of lease ${leaseId} was claimed twice`);
    for (const finished of finishedBatchIds) lease.batches.delete(finished);
    if (!this.isLeaseLive(leaseId)) return [];
    const nowUs = this.nowMs() * 1000;
    const picked = wants.flatMap((want) =>
      this.#rowsOf(laneId, want.campaignId)
        .filter((row) => row.destination === want.destination && row.leaseId === undefined)
        .filter((row) => row.dueUs >= want.cursorUs && row.dueUs <= nowUs && this.#random.unit() > 0.02)
        .slice(0, want.rowsMax),
    );
    this.#isChanged = true;
    for (const row of picked) {
      row.leaseId = leaseId;
      row.version = editions.find(({ campaign_id }) => campaign_id === row.campaignId)?.version ?? null;
      this.claimedVersions.set(`${row.id} ${row.attempts + 1}`, row.version ?? 1);
      if (this.suppressed.has(row.id)) this.forbiddenAttempts.add(`${row.id} ${row.attempts + 1}`);
    }
    if (picked.length > 0)
      lease.batches.set(
        batchId,
        picked.map(({ id }) => id),
      );
    return picked.map(claimedRow);
  }

  // claimed-store.ts: CLAIMED
  #suppressedAmong(rows: readonly ClaimedRow[]): ReadonlyMap<MessageId, string> {
    if (this.#settings.forgetsSuppressed === true) return new Map();
    const meant = rows.filter((row) => this.suppressed.has(row.message_id));
    return new Map(meant.map((row) => [row.message_id, "on the suppression list"]));
  }

  // database-queue.ts: settle. The transaction holds the lease FOR SHARE and has its number from its first write to its
  // commit; meanwhile its rows are locked and unchanged for everyone else. A client that dies leaves it to be rolled
  // back, unless the commit was on its way.
  async #settle(life: Life, leaseId: LeaseId, group: readonly Settlement[]): Promise<"settled" | "lease_lost"> {
    const fate = this.#settings.fateOfCall("settle");
    const isFailed = fate.kind !== "answered";
    return await new Promise((resolve, reject) => {
      const answer = (result: "settled" | "lease_lost"): void => {
        const tell = isFailed
          ? () => reject(new Error("the connection to the database was lost"))
          : () => resolve(result);
        this.#time.after(life, fate.backMs, tell);
      };
      const begin = (): void => {
        const lease = this.leases.get(leaseId);
        if (fate.kind === "failed_before" || !this.isLeaseLive(leaseId) || lease === undefined)
          return answer("lease_lost");
        // Rows of an earlier, unfinished settle of this dispatcher are locked.
        if (lease.sharedBy > 0) return void this.#time.after(undefined, 1, begin);
        lease.sharedBy++;
        const tx = this.#begin();
        const commit = (): void => {
          lease.sharedBy--;
          this.#openTransactions.delete(tx);
          const isRolledBack = !life.isAlive && this.#random.unit() < 0.5;
          if (!isRolledBack) this.#apply(leaseId, group, tx);
          if (fate.kind !== "failed_late") answer("settled");
        };
        if (fate.kind === "failed_late") answer("settled");
        this.#time.after(undefined, fate.kind === "failed_late" ? LATE_MS : fate.thereMs, commit);
      };
      this.#time.after(undefined, fate.thereMs, begin);
    });
  }

  // database-queue.ts: writeSettlements, with SETTLE and GIVE_BACK of queue-store.ts
  #apply(leaseId: LeaseId, group: readonly Settlement[], tx: number): void {
    this.#isChanged = true;
    for (const { row: told, attempt, becomes, event } of group) {
      const row = this.rows.get(told.message_id);
      const isMine = row?.leaseId === leaseId || this.#settings.settlesWithoutLease === true;
      if (row === undefined || !isMine) continue;
      mustHold(
        row.state === told.state,
        `message ${row.id} is ${row.state} and was settled as one that is ${told.state}`,
      );
      row.leaseId = undefined;
      if (becomes.state !== row.state || event !== undefined) this.#become(row, becomes.state);
      if (becomes.kind === "settled") this.rows.delete(row.id);
      else {
        const { delayMs } = becomes;
        row.tx = tx;
        if (delayMs !== KEEP_DUE) row.dueUs = delayMs === null ? Infinity : Math.floor((this.nowMs() + delayMs) * 1000);
        row.attempts = becomes.attempts;
        row.tries = becomes.tries;
        row.rescues = becomes.rescues;
      }
      if (event !== undefined)
        this.events.push({ messageId: row.id, attempt, kind: event.kind, version: told.version });
      if (event?.kind === "unknown") this.unknownAttempts.add(`${row.id} ${attempt}`);
    }
  }

  #become(row: ModelRow, state: State): void {
    this.#isChanged = true;
    mustHold(mayBecome(row.state, state), `message ${row.id} was to become ${state} and is ${row.state}`);
    this.states.set(row.id, state);
    if (!isSettled(state)) row.state = state;
  }

  // lane-store.ts: ORDERS
  #orders(laneId: LaneId): LaneOrders {
    const live = [...this.leases].filter(([id]) => this.isLeaseLive(id));
    const waiting = live.flatMap(([, { pulse }]) =>
      pulse?.priority === "transactional" && typeof pulse.waiting_p99_ms === "number" ? [pulse.waiting_p99_ms] : [],
    );
    return {
      is_paused: this.isPaused,
      database_ms: this.nowMs(),
      campaign_ids: [...this.runningCampaigns],
      editions: [...this.#editions.values()].filter(({ campaign_id }) => this.runningCampaigns.has(campaign_id)),
      lease_ids: live.filter(([, lease]) => lease.laneId === laneId).map(([id]) => id),
      others_waiting_ms: waiting.length === 0 ? null : Math.max(...waiting),
    };
  }

  // lease-store.ts: RENEW
  #renew(leaseId: LeaseId, pulse: unknown): boolean {
    if (!this.isLeaseLive(leaseId)) return false;
    const lease = this.leases.get(leaseId)!;
    lease.deadlineMs = this.nowMs() + this.#settings.leaseMs;
    lease.pulse = pulse as ModelLease["pulse"];
    return true;
  }

  // lease-store.ts: CLAIMED_UNDER
  #claimedUnder(lease: ModelLease, leaseId: LeaseId): readonly ClaimedUnderLease[] {
    const ids = new Set([...lease.batches.values()].flat());
    const rows = [...ids].map((id) => this.rows.get(id)).filter((row) => row?.leaseId === leaseId);
    return rows.map((row) => ({ ...claimedRow(row!), lane_id: lease.laneId }));
  }

  #rowsOf(laneId: LaneId, campaignId: CampaignId): readonly ModelRow[] {
    const rows = [...this.rows.values()].filter((row) => row.laneId === laneId && row.campaignId === campaignId);
    return rows.toSorted((one, other) => one.dueUs - other.dueUs);
  }

  #begin(): number {
    this.#openTransactions.add(this.#nextTx);
    return this.#nextTx++;
  }

  #commitNow(): number {
    return this.#nextTx++;
  }

  async #call<T>(life: Owner, name: string, effect: () => T): Promise<T> {
    const fate = this.#settings.fateOfCall(name);
    return await new Promise((resolve, reject) => {
      const fail = (): void => reject(new Error(`the connection to the database was lost (${name}, ${fate.kind})`));
      this.#time.after(undefined, fate.thereMs, () => {
        switch (fate.kind) {
          case "answered": {
            const result = effect();
            return void this.#time.after(life, fate.backMs, () => resolve(result));
          }
          case "failed_before":
            return void this.#time.after(life, fate.backMs, fail);
          case "failed_after":
            effect();
            return void this.#time.after(life, fate.backMs, fail);
          case "failed_late":
            this.#time.after(life, fate.backMs, fail);
            return void this.#time.after(undefined, LATE_MS, effect);
        }
      });
    });
  }
}

function destinationRow(row: ModelRow): DestinationRow {
  return { campaign_id: row.campaignId, destination: row.destination, due_us: row.dueUs };
}

function claimedRow(row: ModelRow): ClaimedRow {
  return {
    message_id: row.id,
    campaign_id: row.campaignId,
    destination: row.destination,
    due_us: row.dueUs,
    attempts: row.attempts,
    tries: row.tries,
    rescues: row.rescues,
    state: row.state,
    accepted_on: "2026-11-23",
    accepted_ms: row.acceptedMs,
    expires_ms: row.expiresMs,
    recipient: row.recipient,
    data: null,
    content_id: row.version ?? 1,
    version: row.version,
    content: null,
    raw: null,
  };
}
