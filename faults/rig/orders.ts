// Orders of the rig to a module that is preloaded into Postlane's processes, by files of one folder: one order is in force
// at a time, whoever it is for hears of it within a moment, and it is carried out once: by the process that makes its mark
// first, also if that process is no more and another has taken its place.

import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Scope } from "../../test/rig/scope.ts";
import { thisProcess } from "./this-process.ts";

export interface Order {
  readonly id: number;
  /** Lanes, meaning their dispatchers; or `front`. Whichever of them comes first. */
  readonly processes: readonly string[];
}

/** Names the folder of the orders to a process. */
export const ORDERS_VARIABLE = "FAULT_ORDERS_IN";
const ORDER_FILE = "order";
/** How soon a process hears of an order. */
const HEAR_MS = 10;
const LOOK_MS = 5;

// ── The rig's side ─────────────────────────────────────────────────────────────────────────────────────────────────

export interface Orders<O extends Order, Mark extends object> {
  /** Variables that a process must have to hear of them. */
  readonly env: Readonly<Record<string, string>>;
  /** In place of the one before. Resolves when somebody has heard of it. */
  give(order: Omit<O, "id">): Promise<void>;
  /** Waits until the last order is carried out, no longer than this. */
  untilMarked(msMax: number): Promise<Mark | undefined>;
  /** What the last order came to; undefined: it was not carried out, and will not be any more. */
  takeBack(): Mark | undefined;
  /** Everything that a process of this name has told, since the folder is there. */
  told(process: string): readonly string[];
}

/** Somebody must hear of it: a process that died of the last one may take a while to come back. */
const HEARD_MS_MAX = 60_000;

export function openOrders<O extends Order, Mark extends object>(scope: Scope): Orders<O, Mark> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-fault-orders-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  let id = 0;
  const mark = (): Mark | undefined => readMark<Mark>(folder, id) ?? undefined;
  return {
    env: { [ORDERS_VARIABLE]: folder },
    async give(order) {
      giveOrder(folder, { ...order, id: ++id });
      for (const endsAt = performance.now() + HEARD_MS_MAX; !existsSync(heardOf(folder, id)); await sleep(LOOK_MS)) {
        if (performance.now() > endsAt) throw new Error(`${order.processes.join(" and ")} heard of no order`);
      }
    },
    async untilMarked(msMax) {
      for (const endsAt = performance.now() + msMax; performance.now() < endsAt; await sleep(LOOK_MS)) {
        if (mark() !== undefined) break;
      }
      return mark();
    },
    takeBack() {
      makeMark(folder, id, null);
      return mark();
    },
    told: (name) => readLinesIfThere(toldOf(folder, name)),
  };
}

export function giveOrder(folder: string, order: Order): void {
  writeWhole(path.join(folder, ORDER_FILE), JSON.stringify(order), renameSync);
}

/** Null: the order was taken back. */
export function readMark<Mark>(folder: string, id: number): Mark | null | undefined {
  return readIfThere<Mark | null>(markOf(folder, id));
}

// ── The side of the process ────────────────────────────────────────────────────────────────────────────────────────

export interface HeardOrders<O extends Order, Mark extends object> {
  /** The one in force for this process. */
  readonly order: O | undefined;
  /** False: it is carried out by somebody else, or was taken back. */
  mark(mark: Mark): boolean;
  /** A line for the rig, whether or not there is an order. */
  tell(line: string): void;
}

/** Undefined: this process is given no orders. `heard` is called for each new one. */
export function hearOrders<O extends Order, Mark extends object>(
  heard: (order: O) => void,
): HeardOrders<O, Mark> | undefined {
  const folder = process.env[ORDERS_VARIABLE];
  const name = thisProcess();
  if (folder === undefined || name === undefined) return undefined;
  let order: O | undefined;
  const hear = (): void => {
    const found = readOrder<O>(folder);
    const isNew = found !== undefined && found.id !== order?.id;
    order = found?.processes.includes(name) === true ? found : undefined;
    if (!isNew || order === undefined) return;
    heard(order);
    writeFileSync(heardOf(folder, order.id), "");
  };
  hear();
  setInterval(hear, HEAR_MS).unref();
  return {
    get order() {
      return order;
    },
    mark: (mark) => order !== undefined && makeMark(folder, order.id, mark),
    tell: (line) => appendFileSync(toldOf(folder, name), `${line}\n`),
  };
}

/** The order in force; undefined: there is none, or it is carried out. */
function readOrder<O extends Order>(folder: string): O | undefined {
  const order = readIfThere<O>(path.join(folder, ORDER_FILE));
  return order === undefined || existsSync(markOf(folder, order.id)) ? undefined : order;
}

// ── Files ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function makeMark(folder: string, id: number, mark: object | null): boolean {
  try {
    writeWhole(markOf(folder, id), JSON.stringify(mark), linkSync);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

const markOf = (folder: string, id: number): string => path.join(folder, `mark-${id}`);
const toldOf = (folder: string, name: string): string => path.join(folder, `told-${name}`);
const heardOf = (folder: string, id: number): string => path.join(folder, `heard-${id}`);

/** A reader finds all of it, or nothing. */
function writeWhole(file: string, text: string, giveName: (from: string, to: string) => void): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  try {
    giveName(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

function readIfThere<T>(file: string): T | undefined {
  const text = readTextIfThere(file);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

function readLinesIfThere(file: string): readonly string[] {
  return (readTextIfThere(file) ?? "").split("\n").filter((line) => line !== "");
}

function readTextIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
