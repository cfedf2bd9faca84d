// Time of a simulated world. It stands still while anything can happen and then jumps to the next timer; everything
// that is due at one instant, and everything that was put off with `soon`, happens in an order drawn from the seed.
//
// Each simulated process is a life with a clock of its own: after its death none of its timers fires any more, so
// whatever it awaited is never answered; while it is paused (SIGSTOP, a frozen machine) they wait.

import type { Clock, Timer } from "../../src/platform/clock.ts";
import type { Random } from "../../src/platform/random.ts";

export interface Life {
  readonly name: string;
  readonly number: number;
  isAlive: boolean;
  pausedUntilMs: number;
}

/** Where no process is meant: the network, the database's own machine, whoever makes the weather. */
export type Owner = Life | undefined;

/** The wall clock at the start; any instant will do. */
export const EPOCH_MS = Date.UTC(2026, 10, 23);

interface Due {
  atMs: number;
  readonly order: number;
  readonly owner: Owner;
  readonly fire: () => void;
  isCanceled: boolean;
}

export class VirtualTime {
  nowMs = 0;
  /** Things that happened so far. */
  steps = 0;
  readonly #random: Random;
  readonly #heap: Due[] = [];
  readonly #soon: Due[] = [];
  #lives = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  beginLife(name: string): Life {
    return { name, number: ++this.#lives, isAlive: true, pausedUntilMs: 0 };
  }

  /** A process that dies within its own step: nothing that the rest of the step does may leave it. */
  endLife(life: Life): void {
    life.isAlive = false;
  }

  /** Whole milliseconds, at least one: so that what comes together is dealt with together. */
  after(owner: Owner, ms: number, fire: () => void): Timer {
    const due = this.#due(owner, fire, this.nowMs + Math.max(1, Math.ceil(ms)));
    push(this.#heap, due);
    return { cancel: () => void (due.isCanceled = true) };
  }

  soon(owner: Owner, fire: () => void): void {
    this.#soon.push(this.#due(owner, fire, this.nowMs));
  }

  #due(owner: Owner, fire: () => void, atMs: number): Due {
    return { atMs, order: this.#random.unit(), owner, fire, isCanceled: false };
  }

  clockOf(owner: Owner): Clock {
    return {
      monotonicMs: () => this.nowMs,
      wallMs: () => EPOCH_MS + this.nowMs,
      after: (ms, fire) => this.after(owner, ms, fire),
      soon: (fire) => this.soon(owner, fire),
    };
  }

  /** Lets things happen until `isOver`, which is asked after each of them, or until the given instant. */
  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    for (;;) {
      await settleDown();
      if (isOver()) return;
      const fire = this.#next(untilMs);
      if (fire === undefined) return;
      this.steps++;
      fire();
    }
  }

  // First what is due at this instant, as sockets and timers are served before `setImmediate`; then what was put off;
  // only then does time pass.
  #next(untilMs: number): (() => void) | undefined {
    for (;;) {
      const due = this.#takeDue() ?? this.#takeSoon();
      if (due !== undefined) {
        if (this.#mayHappen(due)) return due.fire;
        continue;
      }
      const first = this.#heap[0];
      this.nowMs = Math.min(untilMs, first?.atMs ?? untilMs);
      if (first === undefined || first.atMs > untilMs) return undefined;
    }
  }

  #takeDue(): Due | undefined {
    const first = this.#heap[0];
    return first !== undefined && first.atMs <= this.nowMs ? pop(this.#heap) : undefined;
  }

  #takeSoon(): Due | undefined {
    return this.#soon.splice(Math.floor(this.#random.unit() * this.#soon.length), 1)[0];
  }

  #mayHappen(due: Due): boolean {
    const { owner } = due;
    if (due.isCanceled || owner?.isAlive === false) return false;
    if (owner === undefined || owner.pausedUntilMs <= this.nowMs) return true;
    due.atMs = owner.pausedUntilMs;
    push(this.#heap, due);
    return false;
  }
}

/** Promises and streams go on by microtasks and `nextTick`; when `setImmediate` gets its turn, all of them are done. */
function settleDown(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

const isBefore = (one: Due, other: Due): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

function push(heap: Due[], due: Due): void {
  heap.push(due);
  for (let index = heap.length - 1; index > 0;) {
    const parent = (index - 1) >> 1;
    if (!isBefore(heap[index]!, heap[parent]!)) break;
    [heap[index], heap[parent]] = [heap[parent]!, heap[index]!];
    index = parent;
  }
}

function pop(heap: Due[]): Due {
  const first = heap[0]!;
  const last = heap.pop()!;
  if (heap.length > 0) heap[0] = last;
  for (let index = 0; ;) {
    let least = index;
    for (const child of [2 * index + 1, 2 * index + 2]) {
      if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
    }
    if (least === index) return first;
    [heap[index], heap[least]] = [heap[least]!, heap[index]!];
    index = least;
  }
}
