// A socket around a session: bytes in, actions out, one timer. It decides nothing: each event becomes one step of the
// session, and each action one call. Sockets and time are given to it.
// Contents larger than a block are handed to the socket block by block, so that a slow server is given its time per
// block (RFC 5321 §4.5.3.2.5), and so that it is known whether a final dot can have left us.

import type { Duplex } from "node:stream";
import type { AttemptFailed, AttemptReplied, AttemptResult } from "../mail/attempt.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { AttemptToken } from "./outlet.ts";
import type { SmtpTimeouts } from "./smtp-settings.ts";
import * as smtp from "./smtp-session.ts";
import type { SessionAction, SessionSettings, SmtpSession, TimerPhase } from "./smtp-session.ts";
import type { SmtpTransaction } from "./smtp-transaction.ts";

/** Octets given to the socket at once. Larger than most messages, which so cost one plain write. */
export const BLOCK_BYTES = 65_536;

export interface TlsOptions {
  readonly host: string;
  readonly servername: string | undefined;
  readonly ca: string | undefined;
  readonly isVerified: boolean;
}

/** What the outside must give: `connect` emits `connect`, `startTls` emits `secureConnect`; both then act as sockets. */
export interface SocketPorts {
  connect(host: string, port: number): Duplex;
  startTls(socket: Duplex, options: TlsOptions): Duplex;
}

export interface ConnectionSettings {
  readonly session: SessionSettings;
  readonly host: string;
  readonly port: number;
  readonly timeouts: SmtpTimeouts;
  readonly idleMs: number;
  readonly tls: TlsOptions;
}

/** Called synchronously while a step is carried out; they may look at the connection, but not make it step again. */
export interface ConnectionListener {
  ready(connection: SmtpConnection): void;
  wantsPermit(connection: SmtpConnection): void;
  finished(token: AttemptToken, result: AttemptResult): void;
  notOpened(connection: SmtpConnection, failure: AttemptReplied | AttemptFailed, mayTryInClear: boolean): void;
  /** The last call for this connection. */
  ended(connection: SmtpConnection, isServerFault: boolean): void;
}

export class SmtpConnection {
  readonly session: SmtpSession;
  readonly host: string;
  readonly openedAtMs: number;
  /** Resolves when the socket is gone. */
  readonly socketClosed: Promise<void>;
  readonly #settings: ConnectionSettings;
  readonly #ports: SocketPorts;
  readonly #clock: Clock;
  readonly #listener: ConnectionListener;
  /** Ours, once it is connected. */
  clientPort: number | undefined;
  /** The one that `connect` gave; TLS runs over it. */
  readonly #rawSocket: Duplex;
  #socket: Duplex;
  #fault: Error | undefined;
  #unsentBlocks: Buffer[] = [];
  #phase: TimerPhase = "none";
  #deadlineMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(settings: ConnectionSettings, ports: SocketPorts, clock: Clock, listener: ConnectionListener) {
    this.session = smtp.createSmtpSession(settings.session);
    this.host = settings.session.host;
    this.openedAtMs = clock.monotonicMs();
    this.#settings = settings;
    this.#ports = ports;
    this.#clock = clock;
    this.#listener = listener;
    const socket = ports.connect(settings.host, settings.port);
    this.#rawSocket = socket;
    this.#socket = socket;
    this.socketClosed = new Promise((resolve) => void socket.once("close", () => resolve()));
    socket.once("connect", () => {
      this.clientPort = portOf(socket);
      this.#run(smtp.connected(this.session));
    });
    sendWithoutDelay(socket);
    this.#listen(socket);
    this.#setTimer("connect");
  }

  /** A message may be begun: the limits of age and number are the outlet's, this is only the session's state. */
  get isReady(): boolean {
    return smtp.isReady(this.session);
  }

  get wantsPermit(): boolean {
    return smtp.wantsPermit(this.session);
  }

  begin(transaction: SmtpTransaction): void {
    this.#run(smtp.begin(this.session, transaction));
  }

  permitDot(next: SmtpTransaction | undefined): void {
    this.#run(smtp.permitDot(this.session, next));
  }

  refuseDot(reason: string): void {
    this.#run(smtp.refuseDot(this.session, reason));
  }

  /** What is written from here on waits for `uncork`. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  quit(): void {
    this.#run(smtp.quit(this.session));
  }

  abort(reason: string): void {
    this.#run(smtp.abort(this.session, reason));
  }

  #listen(socket: Duplex): void {
    socket.on("data", (bytes: Buffer) => this.#run(smtp.received(this.session, bytes)));
    socket.on("error", (error: Error) => (this.#fault ??= error));
    socket.on("end", () => this.#lose("the server closed the connection"));
    socket.on("close", () => this.#lose("the connection closed"));
  }

  #lose(detail: string): void {
    const code = this.#fault === undefined ? "connection_lost" : codeOf(this.#fault);
    this.#run(smtp.lost(this.session, code, this.#fault?.message ?? detail));
  }

  #run(actions: readonly SessionAction[]): void {
    for (const action of actions) this.#do(action);
  }

  #do(action: SessionAction): void {
    switch (action.kind) {
      case "write":
        return this.#write(action.text);
      case "timer":
        return this.#setTimer(action.phase);
      case "start_tls":
        return this.#startTls();
      case "ready":
        return this.#listener.ready(this);
      case "want_permit":
        return this.#listener.wantsPermit(this);
      case "finished":
        return this.#listener.finished(action.token, this.#withPort(action.result));
      case "not_opened":
        return this.#listener.notOpened(this, action.failure, action.mayTryInClear);
      case "close":
        return this.#close(action.isServerFault);
    }
  }

  #withPort(result: AttemptResult): AttemptResult {
    if (result.kind !== "failed" || !result.isPastDot || this.clientPort === undefined) return result;
    return { ...result, clientPort: this.clientPort };
  }

  // One character for each octet, so as Latin-1: Node then copies octets and counts nothing.
  #write(text: string): void {
    if (this.#unsentBlocks.length === 0 && text.length < BLOCK_BYTES / 4) {
      this.#socket.write(text, "latin1");
      return;
    }
    const isWriting = this.#unsentBlocks.length > 0;
    this.#unsentBlocks.push(...blocksOf(Buffer.from(text, "latin1")));
    if (!isWriting) this.#writeNextBlock();
  }

  // The head of the list is the block that the socket is busy with.
  #writeNextBlock(): void {
    const block = this.#unsentBlocks[0]!;
    this.session.isTailUnsent = this.#unsentBlocks.length > 1;
    this.#socket.write(block, (error) => {
      if (error || smtp.isClosed(this.session)) return;
      this.#unsentBlocks.shift();
      if (this.#unsentBlocks.length > 0) this.#writeNextBlock();
      this.#setTimer(this.#phase);
    });
  }

  #startTls(): void {
    this.#socket.removeAllListeners("data");
    this.#socket.removeAllListeners("end");
    const secure = this.#ports.startTls(this.#socket, this.#settings.tls);
    this.#socket = secure;
    secure.once("secureConnect", () => this.#run(smtp.secured(this.session)));
    this.#listen(secure);
  }

  #close(isServerFault: boolean): void {
    this.#timer?.cancel();
    this.#unsentBlocks = [];
    this.#socket.destroy();
    this.#rawSocket.destroy();
    this.#listener.ended(this, isServerFault);
  }

  // Replies come far more often than timers fire, so a running timer is left alone as long as it fires early enough;
  // when it fires too early, it is set again for the rest.
  #setTimer(phase: TimerPhase): void {
    if (smtp.isClosed(this.session)) return;
    this.#phase = phase;
    this.#deadlineMs = this.#clock.monotonicMs() + this.#durationMs(phase);
    if (this.#deadlineMs < this.#timerMs) this.#startTimer();
  }

  #durationMs(phase: TimerPhase): number {
    if (phase === "none") return Number.POSITIVE_INFINITY;
    if (phase === "idle") return this.#settings.idleMs;
    const { timeouts } = this.#settings;
    return this.#unsentBlocks.length > 0 ? timeouts.blockMs : timeouts[`${phase}Ms`];
  }

  #startTimer(): void {
    this.#timer?.cancel();
    this.#timerMs = this.#deadlineMs;
    const restMs = Math.ceil(this.#deadlineMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.after(restMs, () => this.#timerFired());
  }

  #timerFired(): void {
    this.#timer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (this.#deadlineMs === Number.POSITIVE_INFINITY) return;
    if (this.#clock.monotonicMs() < this.#deadlineMs) return this.#startTimer();
    this.#run(smtp.timedOut(this.session, this.#phase));
  }
}

function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) blocks.push(bytes.subarray(at, at + BLOCK_BYTES));
  return blocks;
}

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : "connection_lost";

const portOf = (socket: Duplex): number | undefined =>
  "localPort" in socket && typeof socket.localPort === "number" ? socket.localPort : undefined;

// Nagle's algorithm would hold a small write back until the one before is acknowledged.
function sendWithoutDelay(socket: Duplex): void {
  if ("setNoDelay" in socket && typeof socket.setNoDelay === "function") socket.setNoDelay(true);
}
