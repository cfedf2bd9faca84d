// The outlet of a fresh install: mail goes into a Maildir on this machine, to be looked at, and nowhere else.
// Each message is written to `tmp` and renamed into `new`, so that a reader never sees half of one. The file's name
// carries the attempt's token: one attempt delivered twice would be two files with one token.
// It does not wait for the disk (no fsync): what is captured is for looking at, and is worth less than its speed.

import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Random } from "../platform/random.ts";
import type { AttemptToken, HandOver, Outlet, OutletDriver } from "./outlet.ts";
import { refuseUnsafe } from "./smtp-transaction.ts";

/** Files written at once: as many as Node's thread pool has threads. */
export const CAPTURE_WRITES_MAX = 4;

export interface CaptureOutletSettings {
  readonly name: string;
  /** The Maildir; made when it is missing. */
  readonly dir: string;
}

export interface CapturePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export function createCaptureOutlet(
  settings: CaptureOutletSettings,
  ports: CapturePorts,
  driver: OutletDriver,
): Outlet {
  return new CaptureOutletAtWork(settings, ports, driver);
}

const HOST = "capture";

class CaptureOutletAtWork implements Outlet {
  readonly name: string;
  readonly #dir: string;
  readonly #ports: CapturePorts;
  readonly #driver: OutletDriver;
  /** Told apart from other processes that capture into the same folder. */
  readonly #writerId: string;
  readonly #writes = new Set<Promise<void>>();
  #fileCount = 0;
  #limit = 0;
  #isFolderMade = false;
  #isTurnDue = false;
  #isDraining = false;
  #isClosed = false;
  #whenDrained: (() => void)[] = [];

  constructor(settings: CaptureOutletSettings, ports: CapturePorts, driver: OutletDriver) {
    this.name = settings.name;
    this.#dir = settings.dir;
    this.#ports = ports;
    this.#driver = driver;
    this.#writerId = Math.floor(ports.random.unit() * 2 ** 32).toString(36);
  }

  setLimit(openMax: number): void {
    this.#limit = openMax;
    this.#turnSoon();
  }

  wake(): void {
    this.#turnSoon();
  }

  drain(): Promise<void> {
    this.#isDraining = true;
    return new Promise((resolve) => {
      this.#whenDrained.push(resolve);
      this.#tellIfDrained();
    });
  }

  /** A write that has begun is a matter of a moment, and its result is worth having: it is waited for. */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#isClosed = true;
    await Promise.all(this.#writes);
  }

  #turnSoon(): void {
    if (this.#isTurnDue || this.#isClosed) return;
    this.#isTurnDue = true;
    this.#ports.clock.soon(() => this.#turn());
  }

  #turn(): void {
    this.#isTurnDue = false;
    if (this.#isDraining) return;
    const taken = this.#takeMessages();
    if (taken.length === 0) return;
    if (this.#driver.permitDots(taken.map(({ token }) => ({ token })))) {
      for (const handOver of taken) this.#startWrite(handOver);
      return;
    }
    for (const { token } of taken) {
      this.#finish(token, { kind: "not_started", reason: "the capture was not permitted" });
    }
  }

  #takeMessages(): HandOver[] {
    const taken: HandOver[] = [];
    const countMax = Math.min(this.#limit, CAPTURE_WRITES_MAX) - this.#writes.size;
    while (taken.length < countMax) {
      const handOver = this.#driver.take();
      if (handOver === undefined) break;
      const reply = refuseUnsafe(handOver);
      if (reply === undefined) taken.push(handOver);
      else this.#finish(handOver.token, { kind: "refused_here", reply, host: HOST });
    }
    return taken;
  }

  #startWrite(handOver: HandOver): void {
    const write = this.#capture(handOver).then((result) => {
      this.#writes.delete(write);
      this.#finish(handOver.token, result);
      this.#turnSoon();
    });
    this.#writes.add(write);
  }

  async #capture(handOver: HandOver): Promise<AttemptResult> {
    const file = this.#fileName(handOver.token);
    try {
      await this.#makeFolder();
      await this.#writeWhole(file, handOver);
    } catch (error) {
      return this.#failed(error as Error);
    }
    const text = `captured as new/${file}`;
    return { kind: "replied", phase: "dot", reply: { code: 250, enhanced: "2.0.0", text }, host: HOST };
  }

  async #makeFolder(): Promise<void> {
    if (this.#isFolderMade) return;
    for (const folder of ["tmp", "new", "cur"]) await mkdir(path.join(this.#dir, folder), { recursive: true });
    this.#isFolderMade = true;
  }

  async #writeWhole(file: string, { envelope, content }: HandOver): Promise<void> {
    const temporary = path.join(this.#dir, "tmp", file);
    const header = Buffer.from(`Return-Path: <${envelope.sender}>\r\nDelivered-To: ${envelope.recipient}\r\n`);
    try {
      await writeFile(temporary, Buffer.concat([header, Buffer.from(content.text, "latin1")]), { flag: "wx" });
      await rename(temporary, path.join(this.#dir, "new", file));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Sorted by name is sorted by time. */
  #fileName(token: AttemptToken): string {
    const time = String(Math.floor(this.#ports.clock.wallMs())).padStart(13, "0");
    const unique = `${this.#writerId}-${(this.#fileCount++).toString(36).padStart(6, "0")}`;
    return `${time}.${unique}.${token.replace(/[^A-Za-z0-9_=+-]/g, "_")}`;
  }

  // The file is not in `new`, so it was not captured: that is as safe to repeat as a connection that was refused.
  #failed(error: Error): AttemptResult {
    this.#isFolderMade = false;
    const code = "code" in error && typeof error.code === "string" ? error.code : "capture_failed";
    this.#ports.log.warn("handover.capture_failed", { outlet: this.name, code });
    return { kind: "failed", phase: "connect", code, detail: error.message, host: HOST, isPastDot: false };
  }

  #finish(token: AttemptToken, result: AttemptResult): void {
    this.#driver.finished(token, result);
    this.#tellIfDrained();
  }

  #tellIfDrained(): void {
    if (!this.#isDraining || this.#writes.size > 0) return;
    for (const resolve of this.#whenDrained) resolve();
    this.#whenDrained = [];
  }
}
