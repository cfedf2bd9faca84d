// A relay, or several, as one way out. It keeps the connections, and pulls a message when one of them can begin a
// transaction or can take an envelope behind the final dot that it is about to write.
// It takes no message before a connection is ready for it, but for one exception: when no host can be reached, one
// message per failure is taken and finished with that failure, since otherwise nobody would learn of it.
// Before the first `setLimit` it takes nothing. It assumes that the driver's calls return at once.

import type { AttemptFailed, AttemptReplied, AttemptResult } from "../mail/attempt.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Random } from "../platform/random.ts";
import type { AttemptToken, Dot, Outlet, OutletDriver } from "./outlet.ts";
import { SmtpConnection, type ConnectionListener, type SocketPorts } from "./smtp-connection.ts";
import {
  allowProbes,
  CLEAR_AFTER_TLS_FAILURE_MS,
  createHostStates,
  nextRetryAtMs,
  noteHostAnswered,
  noteHostFailed,
  pickHost,
  type HostState,
} from "./smtp-hosts.ts";
import { completeSmtpSettings, type CompleteSmtpSettings, type SmtpOutletSettings } from "./smtp-settings.ts";
import { prepareTransaction, type SmtpTransaction } from "./smtp-transaction.ts";

export interface SmtpPorts extends SocketPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SmtpHostStats {
  readonly host: string;
  readonly connectionCount: number;
  readonly failureCount: number;
  /** Until it may be tried again; 0 when it is not set aside. */
  readonly setAsideMs: number;
}

export interface SmtpOutletStats {
  readonly limit: number;
  readonly openCount: number;
  readonly connectionCount: number;
  readonly connectingCount: number;
  readonly readyCount: number;
  readonly hosts: readonly SmtpHostStats[];
}

export interface SmtpOutlet extends Outlet {
  stats(): SmtpOutletStats;
}

export function createSmtpOutlet(settings: SmtpOutletSettings, ports: SmtpPorts, driver: OutletDriver): SmtpOutlet {
  return new SmtpOutletAtWork(completeSmtpSettings(settings), ports, driver);
}

/** Messages that may be refused here in one turn before other work gets its turn. */
const REFUSED_IN_A_ROW_MAX = 100;

class SmtpOutletAtWork implements SmtpOutlet, ConnectionListener {
  readonly name: string;
  readonly #settings: CompleteSmtpSettings;
  readonly #ports: SmtpPorts;
  readonly #driver: OutletDriver;
  readonly #hosts: readonly HostState[];
  /** Every connection, with its host, until it ended. */
  readonly #connections = new Map<SmtpConnection, HostState>();
  readonly #connecting = new Set<SmtpConnection>();
  readonly #closing = new Set<Promise<void>>();
  /** Last in, first out: so that what is not needed becomes idle. */
  #ready: SmtpConnection[] = [];
  #awaitingPermit: SmtpConnection[] = [];
  #limit = 0;
  #openCount = 0;
  /** The driver may have a message: true from `wake` until `take` gives none. */
  #hasDemand = false;
  /** Why the last host could not be reached, until a message was finished with it. */
  #untoldFailure: AttemptReplied | AttemptFailed | undefined;
  #isTurnDue = false;
  #isDraining = false;
  #isClosed = false;
  #retryTimer: Timer | undefined;
  #whenDrained: (() => void)[] = [];

  constructor(settings: CompleteSmtpSettings, ports: SmtpPorts, driver: OutletDriver) {
    this.name = settings.name;
    this.#settings = settings;
    this.#ports = ports;
    this.#driver = driver;
    this.#hosts = createHostStates(settings.hosts);
  }

  setLimit(openMax: number): void {
    if (this.#limit === 0 && openMax > 0) allowProbes(this.#hosts);
    this.#limit = openMax;
    this.#turnSoon();
  }

  wake(): void {
    this.#hasDemand = true;
    this.#turnSoon();
  }

  drain(): Promise<void> {
    this.#isDraining = true;
    this.#turnSoon();
    return new Promise((resolve) => {
      this.#whenDrained.push(resolve);
      this.#tellIfDrained();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isDraining = true;
    this.#retryTimer?.cancel();
    for (const connection of this.#connections.keys()) connection.abort("the outlet was closed");
    await Promise.all(this.#closing);
  }

  stats(): SmtpOutletStats {
    const nowMs = this.#ports.clock.monotonicMs();
    return {
      limit: this.#limit,
      openCount: this.#openCount,
      connectionCount: this.#connections.size,
      connectingCount: this.#connecting.size,
      readyCount: this.#ready.length,
      hosts: this.#hosts.map((state) => ({
        host: nameOf(state),
        connectionCount: state.connectionCount,
        failureCount: state.failureCount,
        setAsideMs: state.failureCount === 0 ? 0 : Math.max(0, state.retryAtMs - nowMs),
      })),
    };
  }

  // ── What connections tell ────────────────────────────────────────────────────────────────────────────────────────

  ready(connection: SmtpConnection): void {
    if (this.#connecting.delete(connection)) this.#noteOpened(connection);
    this.#ready.push(connection);
    this.#turnSoon();
  }

  wantsPermit(connection: SmtpConnection): void {
    this.#awaitingPermit.push(connection);
    this.#turnSoon();
  }

  finished(token: AttemptToken, result: AttemptResult): void {
    this.#openCount--;
    // First: what the driver notes of it is then written together with the next permission, and not by itself before.
    this.#turnSoon();
    this.#driver.finished(token, result);
    this.#tellIfDrained();
  }

  notOpened(connection: SmtpConnection, failure: AttemptReplied | AttemptFailed, mayTryInClear: boolean): void {
    const host = this.#connections.get(connection)!;
    if (mayTryInClear) {
      host.clearUntilMs = this.#ports.clock.monotonicMs() + CLEAR_AFTER_TLS_FAILURE_MS;
      this.#ports.log.warn("handover.tls_given_up", { outlet: this.name, host: nameOf(host), ...describe(failure) });
      if (!this.#isDraining) this.#openConnection(host);
      return;
    }
    this.#untoldFailure = failure;
    this.#setHostAside(host, describe(failure));
  }

  ended(connection: SmtpConnection, isServerFault: boolean): void {
    const host = this.#connections.get(connection)!;
    const wasOpen = !this.#connecting.delete(connection);
    if (!wasOpen) host.connectingCount--;
    host.connectionCount--;
    this.#connections.delete(connection);
    this.#ready = this.#ready.filter((other) => other !== connection);
    this.#awaitingPermit = this.#awaitingPermit.filter((other) => other !== connection);
    if (wasOpen && isServerFault) this.#setHostAside(host, { reason: "it failed before it took a message" });
    this.#turnSoon();
  }

  // ── One turn ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #turnSoon(): void {
    if (this.#isTurnDue || this.#isClosed) return;
    this.#isTurnDue = true;
    this.#ports.clock.soon(() => this.#turn());
  }

  // Everything that starts something happens here, once after the events of one turn of the loop: final dots of many
  // connections are permitted by one call, so by one write to the journal; connections that have nothing get a message
  // first; what the limit still allows then rides behind a final dot.
  #turn(): void {
    this.#isTurnDue = false;
    if (this.#isClosed) return;
    const permitted = this.#askPermission();
    // Messages are merged first and written then, in one burst: a relay that is fed drop by drop falls asleep and has to
    // be woken for every message (measured: a write costs three times as much).
    const corked = [...this.#connections.keys()];
    for (const connection of corked) connection.cork();
    this.#feedReadyConnections();
    for (const connection of permitted) this.#writeDot(connection);
    for (const connection of corked) connection.uncork();
    this.#openConnections();
    this.#reportUnreachable();
    this.#retryWhenHostIsDue();
  }

  #askPermission(): readonly SmtpConnection[] {
    const waiting = this.#awaitingPermit;
    if (waiting.length === 0) return waiting;
    this.#awaitingPermit = [];
    if (this.#driver.permitDots(waiting.map(dotOf))) return waiting;
    this.#hasDemand = false;
    for (const connection of waiting) connection.refuseDot("the final dot was not permitted");
    return [];
  }

  #feedReadyConnections(): void {
    this.#quitUsedUpConnections();
    while (this.#ready.length > 0 && this.#mayTake(0)) {
      const connection = this.#ready.at(-1)!;
      const transaction = this.#takeFor(connection);
      if (transaction === undefined) return;
      this.#ready.pop();
      connection.begin(transaction);
    }
  }

  // An idle connection may have said QUIT by itself in the meantime.
  #quitUsedUpConnections(): void {
    const candidates = this.#ready.filter((connection) => connection.isReady);
    this.#ready = candidates.filter((connection) => !this.#isUsedUp(connection));
    for (const connection of candidates) if (this.#isUsedUp(connection)) connection.quit();
  }

  #isUsedUp(connection: SmtpConnection): boolean {
    return this.#isDraining || !this.#isYoungEnough(connection);
  }

  #isYoungEnough({ session, openedAtMs }: SmtpConnection): boolean {
    const { messagesPerConnectionMax, connectionAgeMsMax } = this.#settings;
    if (session.begunCount >= messagesPerConnectionMax) return false;
    return this.#ports.clock.monotonicMs() - openedAtMs < connectionAgeMsMax;
  }

  // A message may ride only as far as the limit leaves room for one of its own on each connection still to come.
  #writeDot(connection: SmtpConnection): void {
    if (!connection.wantsPermit) return;
    const mayRide = connection.session.extensions.hasPipelining && this.#isYoungEnough(connection);
    const next = mayRide && this.#mayTake(this.#comingConnectionCount()) ? this.#takeFor(connection) : undefined;
    connection.permitDot(next);
  }

  #mayTake(reservedCount: number): boolean {
    return this.#hasDemand && !this.#isDraining && this.#openCount + reservedCount < this.#limit;
  }

  /** The next message that this connection's server can be offered. */
  #takeFor(connection: SmtpConnection): SmtpTransaction | undefined {
    for (let refused = 0; refused < REFUSED_IN_A_ROW_MAX; refused++) {
      const handOver = this.#driver.take();
      if (handOver === undefined) {
        this.#hasDemand = false;
        return undefined;
      }
      this.#openCount++;
      const prepared = prepareTransaction(handOver, connection.session.extensions, connection.host);
      if (prepared.kind === "ready") return prepared.transaction;
      this.finished(handOver.token, prepared.result);
    }
    this.#turnSoon();
    return undefined;
  }

  // ── Connections ──────────────────────────────────────────────────────────────────────────────────────────────────

  // Nobody says how much there is to take, so connections are doubled as long as each finds a message.
  #openConnections(): void {
    if (this.#ready.length > 0 || !this.#mayTake(0)) return;
    const openCount = this.#connections.size - this.#connecting.size;
    const atOnceMax = Math.max(1, openCount) - this.#connecting.size;
    const count = Math.min(this.#wantedConnectionCount(), atOnceMax);
    for (let opened = 0; opened < count; opened++) {
      const host = pickHost(this.#hosts, this.#ports.clock.monotonicMs(), this.#ports.random);
      if (host === undefined) return;
      this.#openConnection(host);
    }
  }

  /** Beyond those that exist. */
  #wantedConnectionCount(): number {
    return Math.max(0, Math.min(this.#settings.connectionsMax, this.#limit) - this.#connections.size);
  }

  #comingConnectionCount(): number {
    const isAnyHostUsable = this.#hosts.some((state) => state.failureCount === 0);
    return this.#connecting.size + (isAnyHostUsable ? this.#wantedConnectionCount() : 0);
  }

  #openConnection(state: HostState): void {
    const connection = new SmtpConnection(this.#connectionSettings(state), this.#ports, this.#ports.clock, this);
    this.#connections.set(connection, state);
    this.#connecting.add(connection);
    state.connectionCount++;
    state.connectingCount++;
    this.#closing.add(connection.socketClosed);
    void connection.socketClosed.then(() => this.#closing.delete(connection.socketClosed));
  }

  #connectionSettings(state: HostState): ConstructorParameters<typeof SmtpConnection>[0] {
    const { host, port } = state.host;
    const { heloName, tls, implicitTls, auth, timeouts, idleMs, ca, servername } = this.#settings;
    const isClear = tls === "opportunistic" && this.#ports.clock.monotonicMs() < state.clearUntilMs;
    return {
      host,
      port,
      timeouts,
      idleMs,
      session: {
        host: nameOf(state),
        heloName,
        tls: isClear ? "off" : tls,
        implicitTls,
        isLoopback: isLoopback(host),
        auth,
      },
      tls: { host, servername, ca, isVerified: tls === "required" },
    };
  }

  #noteOpened(connection: SmtpConnection): void {
    const state = this.#connections.get(connection)!;
    state.connectingCount--;
    this.#untoldFailure = undefined;
    if (state.failureCount > 0) {
      this.#ports.log.info("handover.host_taken_back", { outlet: this.name, host: nameOf(state) });
    }
    noteHostAnswered(state);
    this.#ports.log.debug("handover.connection_opened", {
      outlet: this.name,
      host: nameOf(state),
      isTls: connection.session.isTls,
    });
  }

  #setHostAside(state: HostState, fields: Readonly<Record<string, unknown>>): void {
    noteHostFailed(state, this.#ports.clock.monotonicMs());
    this.#ports.log.warn("handover.host_set_aside", { outlet: this.name, host: nameOf(state), ...fields });
  }

  // With no connection left and every host set aside, one message finds out what the dispatcher has to know.
  #reportUnreachable(): void {
    const failure = this.#untoldFailure;
    if (failure === undefined || this.#connections.size > 0 || !this.#mayTake(0)) return;
    const handOver = this.#driver.take();
    // Nobody to tell yet: the next message is told, if every host is set aside until then.
    if (handOver === undefined) {
      this.#hasDemand = false;
      return;
    }
    this.#untoldFailure = undefined;
    this.#openCount++;
    this.finished(handOver.token, failure);
  }

  #retryWhenHostIsDue(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    if (!this.#mayTake(0)) return;
    const nowMs = this.#ports.clock.monotonicMs();
    const retryAtMs = nextRetryAtMs(this.#hosts, nowMs);
    if (retryAtMs === undefined) return;
    this.#retryTimer = this.#ports.clock.after(Math.ceil(retryAtMs - nowMs), () => this.#turnSoon());
  }

  #tellIfDrained(): void {
    if (!this.#isDraining || this.#openCount > 0) return;
    for (const resolve of this.#whenDrained) resolve();
    this.#whenDrained = [];
  }
}

function dotOf({ session, clientPort }: SmtpConnection): Dot {
  const { token } = session.current!;
  return clientPort === undefined ? { token } : { token, clientPort };
}

const nameOf = ({ host }: HostState): string => `${host.host}:${host.port}`;

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function describe(failure: AttemptReplied | AttemptFailed): Readonly<Record<string, unknown>> {
  if (failure.kind === "replied") return { phase: failure.phase, code: failure.reply.code, reason: failure.reply.text };
  return { phase: failure.phase, code: failure.code, reason: failure.detail };
}
