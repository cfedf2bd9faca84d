// Loaded into each of Postlane's processes ahead of the program: dies by SIGKILL at the failpoint that the rig has ordered
// (failpoints.ts). It follows the journal's lines as they are written, so that its mark says which attempts stand between
// dot and answer by another witness than the product's own reading of the file.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import type { FailpointMark, FailpointName, FailpointOrder } from "./failpoints.ts";
import { hookJournal, JOURNAL_NAME } from "./journal-hook.ts";
import { hearOrders, type HeardOrders } from "./orders.ts";
import { hookQueries } from "./query-hook.ts";

let timesLeft = 0;
const orders = hearOrders<FailpointOrder, FailpointMark>(({ times }) => (timesLeft = times));
if (orders !== undefined) follow(orders);

function follow(heard: HeardOrders<FailpointOrder, FailpointMark>): void {
  const openDots = new Set<string>();
  /** True: it is the moment to die, after whatever belongs to it. */
  const isTime = (point: FailpointName): boolean => heard.order?.point === point && --timesLeft === 0;
  const die = (concerned: readonly string[] = []): void => {
    const atMs = performance.timeOrigin + performance.now();
    if (heard.mark({ atMs, pid: process.pid, openDots: [...openDots], concerned })) dieNow();
  };
  const reach = (point: FailpointName, concerned?: readonly string[]): void => {
    if (isTime(point)) die(concerned);
  };

  hookJournal((text, write) => {
    const [dots, answers, suspects] = [attemptsIn(text, "d"), attemptsIn(text, "a"), attemptsIn(text, "c")];
    const note = (): void => {
      for (const attempt of dots) openDots.add(attempt);
      for (const attempt of answers) openDots.delete(attempt);
    };
    if (dots.length > 0) reach("before-dot-line", dots);
    if (answers.length > 0) reach("before-answer-line", answers);
    if (suspects.length > 0) reach("before-suspect-line", suspects);
    if (dots.length > 0 && isTime("mid-dot-line")) {
      write(tornAtLastDot(text));
      note();
      die(dots);
    }
    const written = write(text);
    note();
    if (dots.length > 0) reach("after-dot-line", dots);
    if (answers.length > 0) reach("after-answer-line", answers);
    if (suspects.length > 0) reach("after-suspect-line", suspects);
    return written;
  });
  hookRemoval(() => reach("before-journal-removed"));
  hookContents({ reach, isTime, die });
  hookDatabase(reach);
}

/** SIGKILL to oneself does not come back from the call; if it did, nothing else must happen here. */
function dieNow(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;);
}

function attemptsIn(text: string, kind: "c" | "d" | "a"): readonly string[] {
  return [...text.matchAll(new RegExp(`^${kind} (\\d+ \\d+)`, "gm"))].map(([, attempt]) => attempt!);
}

/** Up to the attempt of the last dot line, which so is torn and still names its message. */
function tornAtLastDot(text: string): string {
  const [line] = [...text.matchAll(/^d \d+ \d+/gm)].slice(-1);
  return text.slice(0, line!.index + line![0].length);
}

function hookRemoval(before: () => void): void {
  const { rmSync } = fs;
  fs.rmSync = (file, options) => {
    if (JOURNAL_NAME.test(String(file))) before();
    rmSync(file, options);
  };
  syncBuiltinESMExports();
}

// Contents are written as text, with their final dot in the same write; PostgreSQL's driver writes octets. A relay's reply
// to the dot is the next that comes on this connection: everything before it was answered already.
function hookContents(points: {
  readonly reach: (point: FailpointName) => void;
  readonly isTime: (point: FailpointName) => boolean;
  readonly die: () => void;
}): void {
  const { reach, isTime, die } = points;
  const prototype = net.Socket.prototype as unknown as { write: (...args: readonly unknown[]) => boolean };
  const real = prototype.write;
  prototype.write = function write(this: net.Socket, chunk: unknown, ...rest: readonly unknown[]) {
    const dotAt = typeof chunk === "string" ? chunk.indexOf(FINAL_DOT) : -1;
    if (dotAt < 0) return real.call(this, chunk, ...rest);
    if (isTime("mid-content")) {
      real.call(this, (chunk as string).slice(0, dotAt / 2), "latin1");
      flush(this);
      die();
    }
    const hasRoom = real.call(this, chunk, ...rest);
    if (isTime("after-dot")) {
      flush(this);
      die();
    }
    this.prependOnceListener("data", () => reach("after-reply"));
    return hasRoom;
  };
}

const FINAL_DOT = "\r\n.\r\n";

/** What is given to a socket in one turn is held together; from here on the kernel has it. */
function flush(socket: net.Socket): void {
  while (socket.writableCorked > 0) socket.uncork();
}

// Settling and rescue are transactions: which of them a COMMIT ends is known by what was asked on its connection before.
function hookDatabase(reach: (point: FailpointName) => void): void {
  const underWay = new WeakMap<object, "settle" | "rescue">();
  hookQueries({
    before({ client, name }) {
      if (name === "queue_claim") reach("before-claim");
      if (name === "lease_renew") reach("before-renewal");
      if (name === "lease_acquire") reach("before-lease");
      if (name === "submission_accept_group") reach("before-submission-commit");
      if (name === "lease_hold") underWay.set(client, "settle");
      if (name === "BEGIN" || name === "ROLLBACK") underWay.delete(client);
      if (name === "COMMIT" && underWay.has(client)) reach(`before-${underWay.get(client)!}-commit`);
      return undefined;
    },
    after({ client, name }, rowCount) {
      if (name === "queue_claim" && rowCount > 0) reach("after-claim");
      if (name === "lease_renew") reach("after-renewal");
      if (name === "lease_acquire") reach("after-lease");
      if (name === "submission_accept_group") reach("after-submission-commit");
      if (name === "lease_take_for_rescue" && rowCount > 0) underWay.set(client, "rescue");
      if (name === "COMMIT" && underWay.has(client)) reach(`after-${underWay.get(client)!}-commit`);
      return undefined;
    },
  });
}
