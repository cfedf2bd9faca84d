// What stands around an outlet in tests: real sockets of the loopback, a clock that is moved by hand, and a driver that
// gives out a list of messages and keeps what came of them. The driver watches the outlet's promises itself: each
// message ends once, the limit is never passed, no final dot goes without permission.

import type { SocketPorts } from "../../src/handover/smtp-connection.ts";
import type { Dot, HandOver, OutletDriver } from "../../src/handover/outlet.ts";
import { createSmtpOutlet, type SmtpOutlet } from "../../src/handover/smtp-outlet.ts";
import type { SmtpOutletSettings } from "../../src/handover/smtp-settings.ts";
import type { AttemptResult } from "../../src/mail/attempt.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { seededRandom } from "../../src/platform/random.ts";
import { connectSocket, startTlsOn } from "../../src/processes/outlets.ts";

export const loopbackSockets: SocketPorts = { connect: connectSocket, startTls: startTlsOn };

export interface ManualClock extends Clock {
  /** Moves time and fires what is due, in order. */
  advance(ms: number): void;
  /** Milliseconds until each pending timer, ascending. */
  pending(): readonly number[];
}

export function manualClock(): ManualClock {
  let nowMs = 1_000;
  const timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  const nextDue = (untilMs: number) =>
    [...timers].filter(({ atMs }) => atMs <= untilMs).toSorted((one, other) => one.atMs - other.atMs)[0];
  return {
    monotonicMs: () => nowMs,
    wallMs: () => 1_700_000_000_000 + nowMs,
    after(ms, fire) {
      const timer = { atMs: nowMs + ms, fire };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    soon: (fire) => void setImmediate(fire),
    advance(ms) {
      const untilMs = nowMs + ms;
      for (let due = nextDue(untilMs); due !== undefined; due = nextDue(untilMs)) {
        timers.delete(due);
        nowMs = Math.max(nowMs, due.atMs);
        due.fire();
      }
      nowMs = untilMs;
    },
    pending: () => [...timers].map(({ atMs }) => atMs - nowMs).toSorted((one, other) => one - other),
  };
}

export function letter(
  number: number,
  changes: Partial<HandOver["envelope"]> & { readonly text?: string } = {},
): HandOver {
  const text = changes.text ?? `Subject: letter ${number}\r\n\r\nHello ${number}\r\n`;
  const sender = changes.sender ?? `bounce-${number}@example.org`;
  const recipient = changes.recipient ?? `person-${number}@example.net`;
  return {
    token: `token-${number}`,
    envelope: { sender, recipient },
    content: contentInUtf8(text),
  };
}

/** A mail in UTF-8, whose header may be, too. */
export function contentInUtf8(text: string): HandOver["content"] {
  const octets = Buffer.from(text).toString("latin1");
  const isUtf8 = octets.indexOf("\r\n\r\n") > text.indexOf("\r\n\r\n");
  return { text: octets, isAscii: octets.length === text.length, ...(isUtf8 ? { isUtf8 } : {}) };
}

export const letters = (count: number): HandOver[] => Array.from({ length: count }, (_, at) => letter(at + 1));

export interface ListDriver extends OutletDriver {
  readonly results: ReadonlyMap<string, AttemptResult>;
  /** The tokens of each call of `permitDots`. */
  readonly permitCalls: readonly (readonly string[])[];
  readonly openCount: number;
  readonly openCountMax: number;
  readonly takenCount: number;
  isPermitted: boolean;
  add(...more: readonly HandOver[]): void;
  /** Resolves with the results when so many messages have finished. */
  whenFinished(count: number): Promise<ReadonlyMap<string, AttemptResult>>;
}

export function listDriver(queue: readonly HandOver[]): ListDriver {
  const waiting = [...queue];
  const open = new Set<string>();
  const results = new Map<string, AttemptResult>();
  const permitCalls: (readonly string[])[] = [];
  const watchers = new Set<() => void>();
  let openCountMax = 0;
  let takenCount = 0;
  const driver = {
    results,
    permitCalls,
    isPermitted: true,
    get openCount() {
      return open.size;
    },
    get openCountMax() {
      return openCountMax;
    },
    get takenCount() {
      return takenCount;
    },
    add: (...more: readonly HandOver[]) => void waiting.push(...more),
    take() {
      const handOver = waiting.shift();
      if (handOver === undefined) return undefined;
      if (open.has(handOver.token)) throw new Error(`${handOver.token} was taken twice`);
      takenCount++;
      open.add(handOver.token);
      openCountMax = Math.max(openCountMax, open.size);
      return handOver;
    },
    permitDots(dots: readonly Dot[]) {
      const tokens = dots.map(({ token }) => token);
      if (tokens.some((token) => !open.has(token))) throw new Error(`permission for a message that is not open`);
      permitCalls.push(tokens);
      return driver.isPermitted;
    },
    finished(token: string, result: AttemptResult) {
      if (!open.delete(token)) throw new Error(`${token} finished twice, or was never taken`);
      results.set(token, result);
      for (const look of watchers) look();
    },
    whenFinished(count: number) {
      return new Promise<ReadonlyMap<string, AttemptResult>>((resolve) => {
        const look = (): void => {
          if (results.size < count) return;
          watchers.delete(look);
          resolve(results);
        };
        watchers.add(look);
        look();
      });
    },
  };
  return driver;
}

export interface OutletRig {
  readonly outlet: SmtpOutlet;
  readonly driver: ListDriver;
  readonly clock: ManualClock;
}

interface RigOptions extends Partial<SmtpOutletSettings> {
  readonly limit?: number;
  readonly ports?: Partial<SocketPorts>;
}

/** An outlet on these ports of the loopback, at work on these messages. It is closed when the test ends. */
export function startOutlet(
  t: { after(release: () => Promise<void>): void },
  ports: readonly number[],
  queue: readonly HandOver[],
  { limit = 100, ports: socketPorts, ...settings }: RigOptions = {},
): OutletRig {
  const driver = listDriver(queue);
  const clock = manualClock();
  const outlet = createSmtpOutlet(
    {
      name: "test",
      heloName: "client.example",
      hosts: ports.map((port) => ({ host: "127.0.0.1", port, weight: 1 })),
      tls: "off",
      ...settings,
    },
    { ...loopbackSockets, ...socketPorts, clock, random: seededRandom(1), log: silentLog },
    driver,
  );
  t.after(() => outlet.close());
  outlet.setLimit(limit);
  outlet.wake();
  return { outlet, driver, clock };
}
