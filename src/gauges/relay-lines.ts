// A line of the relay's log, noted in memory and, where it says what became of a message that may be ours, made into a
// return. What is surely foreign is dropped here; what may be ours is judged by its queue id later. A message that stays
// deferred is told of once a minute, so that a plug does not fill the database.

import { parseLogLine, timeOfLogLine, type LogClient, type PostfixLogLine } from "../mailers/postfix/log-line.ts";
import type { AgentReturn } from "../returns/return-store.ts";
import { createRecentMap, keptText } from "./recent-map.ts";
import type { RelayMemory } from "./relay-memory.ts";

export interface RelayLinesSettings {
  readonly outlet: string;
  /** `syslog_name`: several instances may share a log. */
  readonly instance: string;
  /** The recipients' own hosts take the mail, or another relay does. */
  readonly means: "delivered" | "relayed";
  /** Of return paths that name the attempt; absent: any mail may be ours. */
  readonly returnsDomain?: string;
  /** Of an address that is a return path of ours; undefined for any other. */
  readonly tokenOf: (address: string) => string | undefined;
}

/** Columns and keys are the contract with whoever judges: `postlane.return.body` of source `log`. */
export interface LogReturn {
  readonly queue_id: string;
  /** As the queue manager had it, when that line was seen. */
  readonly return_path?: string;
  readonly recipient: string;
  readonly status: "sent" | "deferred" | "bounced" | "expired";
  readonly dsn?: string;
  readonly relay?: string;
  readonly reply?: string;
  readonly at: string;
  readonly means: "delivered" | "relayed";
}

export interface RelayLines {
  /** `nowMs`: the clock on the wall, for lines without a year. */
  read(line: string, nowMs: number): AgentReturn | undefined;
  /** Of the first line that had a time. */
  readonly firstAtMs: number | undefined;
}

interface Deferral {
  /** The line that gives a queue id up names none. */
  readonly recipient: string;
  readonly toldAtMs: number;
}

const DEFERRALS_MAX = 50_000;
const DEFERRED_MS = 60_000;
/** Lines of several processes may overtake each other by seconds; more is a clock that was set back. */
const BACKWARDS_MS_MAX = 60_000;

export function createRelayLines(settings: RelayLinesSettings, memory: RelayMemory): RelayLines {
  const deferrals = createRecentMap<string, Deferral>(DEFERRALS_MAX);
  let number = 0;
  let firstAtMs: number | undefined;
  let lastAtMs: number | undefined;
  let lastTimestamp = "";

  /** Most lines are of the second of the one before. */
  const timeOf = ({ timestamp }: PostfixLogLine, nowMs: number): number | undefined => {
    if (timestamp === lastTimestamp) return lastAtMs;
    const atMs = timeOfLogLine(timestamp, nowMs);
    if (atMs === undefined) return undefined;
    if (lastAtMs !== undefined && atMs < lastAtMs - BACKWARDS_MS_MAX) memory.linesMissed();
    firstAtMs ??= atMs;
    lastTimestamp = timestamp;
    lastAtMs = atMs;
    return atMs;
  };

  const isToldAlready = (queueId: string, recipient: string, atMs: number): boolean => {
    if (atMs - (deferrals.get(queueId)?.toldAtMs ?? -Infinity) < DEFERRED_MS) return true;
    deferrals.set(keptText(queueId), { recipient: keptText(recipient), toldAtMs: atMs }, number);
    return false;
  };

  const returnOf = (line: PostfixLogLine, atMs: number): LogReturn | undefined => {
    if (line.kind !== "delivery" && line.kind !== "expired") return undefined;
    const from = line.kind === "expired" ? line.sender : memory.senderOf(line.queueId);
    if (!isOfInstance(line.instance, settings.instance) || !mayBeOurs(from, settings)) return undefined;
    const common = {
      queue_id: line.queueId,
      ...(from === undefined ? {} : { return_path: from }),
      at: new Date(atMs).toISOString(),
      means: settings.means,
    };
    if (line.kind === "expired") {
      const recipient = deferrals.get(line.queueId)?.recipient;
      return recipient === undefined ? undefined : { ...common, recipient, status: "expired" };
    }
    const { status, recipient } = line;
    if (status === "undeliverable" || status === "deliverable" || isHome(recipient, settings)) return undefined;
    if (status === "deferred" && isToldAlready(line.queueId, recipient, atMs)) return undefined;
    return { ...common, recipient, status, dsn: line.dsn, relay: line.relay, reply: line.text };
  };

  return {
    read(text, nowMs) {
      number += 1;
      memory.lineRead();
      const line = parseLogLine(text);
      const atMs = line === undefined ? undefined : timeOf(line, nowMs);
      if (line === undefined || atMs === undefined) return undefined;
      note(line, atMs, memory);
      const body = returnOf(line, atMs);
      return body === undefined ? undefined : { outlet: settings.outlet, source: "log", body };
    },
    get firstAtMs() {
      return firstAtMs;
    },
  };
}

function note(line: PostfixLogLine, atMs: number, memory: RelayMemory): void {
  switch (line.kind) {
    case "connect":
      return withPort(line.client, (client, port) => memory.connected(client, port, atMs));
    case "client":
      return withPort(line.client, (client, port) => memory.received(client, port, line.queueId));
    case "broken":
      return withPort(line.client, (client, port) => memory.cut(client, port));
    case "disconnect":
      return withPort(line.client, (client, port) => memory.disconnected(client, port, atMs));
    case "active":
      return memory.activated(line.queueId, line.sender);
    case "started":
      return memory.started();
    case "delivery":
    case "expired":
    case "message_id":
    case "notice":
    case "reloaded":
    case "removed":
    case "stopped":
      return undefined;
  }
}

function withPort({ address, port }: LogClient, tell: (client: string, port: number) => void): void {
  if (port !== undefined) tell(`${address}:${port}`, port);
}

/** A service of an instance may have a name below it: `postfix/submission`. */
function isOfInstance(found: string, instance: string): boolean {
  return found === instance || found.startsWith(`${instance}/`);
}

/** A failure notice is delivered like any mail, and is none of ours. */
function mayBeOurs(from: string | undefined, { returnsDomain, tokenOf }: RelayLinesSettings): boolean {
  if (from === "") return false;
  return returnsDomain === undefined || from === undefined || tokenOf(from) !== undefined;
}

/** What goes to the return domain is a notice, though the line that says so was not seen. */
function isHome(recipient: string, { returnsDomain }: RelayLinesSettings): boolean {
  return returnsDomain !== undefined && recipient.toLowerCase().endsWith(`@${returnsDomain}`);
}
