// Settles in groups, one at a time: what comes in while a commit is under way goes into the next, so a slow disk makes
// groups larger and not throughput smaller. Repeats a group until the database has answered, and keeps what comes too
// late, when the lease is over, as evidence.

import type { Clock } from "../platform/clock.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createCommitTimes, type CommitTimes } from "./commit-times.ts";
import type { Settlement } from "./lane-queue.ts";

export interface SettlerPorts {
  readonly clock: Clock;
  /** Undefined: the database did not answer. */
  readonly settle: (group: readonly Settlement[]) => Promise<"settled" | "lease_lost" | undefined>;
  /** Bulk at work lets a group gather: a commit costs the same for ten messages and for five hundred. */
  readonly mayGather: () => boolean;
  readonly isClaiming: () => boolean;
  /** False once its message was claimed again. */
  readonly isLatest: (row: ClaimedRow) => boolean;
  readonly settled: (group: readonly Settlement[]) => void;
  readonly leaseLost: () => void;
  /** Nothing is under way any more. */
  readonly idle: () => void;
}

export interface Settler {
  add(settlement: Settlement): void;
  /** From now on everything is too late. */
  endLease(): void;
  /** Outcomes that are not under way yet. */
  readonly waiting: number;
  readonly isSettling: boolean;
  /** A try that failed may have been committed: no claim may come before the answer to the next one. */
  readonly isInDoubt: boolean;
  readonly late: readonly Settlement[];
  readonly settledTotal: number;
  readonly settledAtMs: number;
  readonly commits: Pick<CommitTimes, "turn">;
}

/** Outcomes in one settle. A bound for memory and for how long one transaction takes, seldom reached. */
export const SETTLE_ROWS_MAX = 2000;
/** Bulk settles so many at once without waiting for more, and what there is after this long. */
const SETTLE_ROWS_WANTED = 500;
const SETTLE_GATHER_MS = 20;
/** How often it is looked whether a claim under way was answered, after a settle that failed. */
const CLAIM_WAIT_MS = 10;

export function createSettler(ports: SettlerPorts): Settler {
  return new GroupSettler(ports);
}

class GroupSettler implements Settler {
  readonly #ports: SettlerPorts;
  readonly commits = createCommitTimes();
  readonly late: Settlement[] = [];
  #outcomes: Settlement[] = [];
  #isLeaseOver = false;
  #isDue = false;
  isSettling = false;
  isInDoubt = false;
  settledTotal = 0;
  settledAtMs: number;

  constructor(ports: SettlerPorts) {
    this.#ports = ports;
    this.settledAtMs = ports.clock.monotonicMs();
  }

  get waiting(): number {
    return this.#outcomes.length;
  }

  add(settlement: Settlement): void {
    if (this.#isLeaseOver) this.late.push(settlement);
    else this.#outcomes.push(settlement);
    this.#settleSoon();
  }

  endLease(): void {
    this.#isLeaseOver = true;
    this.late.push(...this.#outcomes.splice(0));
  }

  #settleSoon(): void {
    if (this.#isDue || this.isSettling) return;
    this.#isDue = true;
    const settle = (): void => {
      this.#isDue = false;
      void this.#settle();
    };
    if (this.#ports.mayGather()) this.#ports.clock.after(SETTLE_GATHER_MS, settle);
    else this.#ports.clock.soon(settle);
  }

  async #settle(): Promise<void> {
    if (this.isSettling) return;
    this.isSettling = true;
    while (this.#outcomes.length > 0) {
      await this.#settleGroup(this.#outcomes.splice(0, SETTLE_ROWS_MAX));
      if (this.#ports.mayGather() && this.#outcomes.length < SETTLE_ROWS_WANTED) break;
    }
    this.isSettling = false;
    if (this.#outcomes.length > 0) this.#settleSoon();
    this.#ports.idle();
  }

  async #settleGroup(group: readonly Settlement[]): Promise<void> {
    let open = group;
    while (!this.#isLeaseOver) {
      const beganAtMs = this.#ports.clock.monotonicMs();
      const answer = await this.#ports.settle(open);
      if (answer === "settled") {
        this.isInDoubt = false;
        return this.#noteSettled(group, this.#ports.clock.monotonicMs() - beganAtMs);
      }
      if (answer === "lease_lost") this.#ports.leaseLost();
      else open = await this.#leaveOutClaimedAgain(open);
    }
    this.late.push(...open);
  }

  // The try that failed may have been committed, and what it gave back may have been claimed again since: to settle that
  // once more would end the new claim. So no claim may come between this look and the answer to the next try.
  async #leaveOutClaimedAgain(group: readonly Settlement[]): Promise<readonly Settlement[]> {
    this.isInDoubt = true;
    while (this.#ports.isClaiming()) {
      await new Promise<void>((resolve) => void this.#ports.clock.after(CLAIM_WAIT_MS, resolve));
    }
    return group.filter(({ row }) => this.#ports.isLatest(row));
  }

  #noteSettled(group: readonly Settlement[], tookMs: number): void {
    this.commits.add(tookMs, group.length);
    this.settledTotal += group.length;
    this.settledAtMs = this.#ports.clock.monotonicMs();
    this.#ports.settled(group);
  }
}
