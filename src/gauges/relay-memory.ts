// What an agent remembers of a relay's log, in bounded memory: the sessions of each client port, the attempts whose
// return path the queue manager logged as active, and the return path of each queue id. It knows since when its memory
// has no gap, which is what makes "there is no such line" mean something.

import { claimedName, type AttemptName } from "../mail/return-token.ts";
import type { SessionFacts } from "./judge-evidence.ts";
import { createRecentMap, keptText } from "./recent-map.ts";

/** Each up to twice: 200,000 queue ids are a queue that Postfix itself cannot have active. */
const QUEUE_IDS_MAX = 100_000;
const ATTEMPTS_MAX = 50_000;
/** More than there are ports that a client gets by itself on Linux (28,232). */
const PORTS_MAX = 30_000;
/** A port rests for a minute before the same client uses it again (TIME_WAIT), so this is more than an hour of one. */
const SESSIONS_PER_PORT_MAX = 64;
/** At most one dot of a connection waits for its reply; the rest is for others who do otherwise. */
const QUEUE_IDS_PER_SESSION_MAX = 8;

interface Session {
  readonly client: string;
  readonly connectedAtMs: number;
  disconnectedAtMs?: number;
  wasCut: boolean;
  readonly queueIds: string[];
  /** The number of its `connect` line. */
  readonly line: number;
}

export interface RelayMemory {
  /** One more line was read, whatever it says. */
  lineRead(): void;
  /** Lines may have been missed before the next one. */
  linesMissed(): void;
  /** `client` is address and port as the log has them. */
  connected(client: string, port: number, atMs: number): void;
  received(client: string, port: number, queueId: string): void;
  cut(client: string, port: number): void;
  disconnected(client: string, port: number, atMs: number): void;
  /** The queue manager has taken it up. */
  activated(queueId: string, from: string): void;
  started(): void;
  /** The sender of a queue id, as the log has it; empty: a failure notice. */
  senderOf(queueId: string): string | undefined;
  sessionsOf(port: number): readonly SessionFacts[];
  activeQueueIdOf(attempt: AttemptName): string | undefined;
}

/** `tokenOf`: of an address that is a return path of ours; undefined for any other. */
export function createRelayMemory(tokenOf: (address: string) => string | undefined): RelayMemory {
  const senders = createRecentMap<string, string>(QUEUE_IDS_MAX);
  const attempts = createRecentMap<string, string>(ATTEMPTS_MAX);
  const ports = createRecentMap<number, Session[]>(PORTS_MAX);
  let line = 0;
  /** Of what was before the first line nothing is known. */
  let missedLine = 0;
  let startedLine = 0;

  const openSession = (client: string, port: number): Session | undefined =>
    ports.get(port)?.findLast((session) => session.client === client && session.disconnectedAtMs === undefined);

  return {
    lineRead() {
      line += 1;
    },
    linesMissed() {
      missedLine = line;
    },
    connected(client, port, atMs) {
      const sessions = ports.get(port) ?? [];
      if (sessions.length >= SESSIONS_PER_PORT_MAX) sessions.shift();
      sessions.push({ client: keptText(client), connectedAtMs: atMs, wasCut: false, queueIds: [], line });
      ports.set(port, sessions, line);
    },
    received(client, port, queueId) {
      const session = openSession(client, port);
      if (session === undefined) return;
      if (session.queueIds.length >= QUEUE_IDS_PER_SESSION_MAX) session.queueIds.shift();
      session.queueIds.push(keptText(queueId));
    },
    cut(client, port) {
      const session = openSession(client, port);
      if (session !== undefined) session.wasCut = true;
    },
    disconnected(client, port, atMs) {
      const session = openSession(client, port);
      if (session !== undefined) session.disconnectedAtMs = atMs;
    },
    activated(queueId, from) {
      const ownId = keptText(queueId);
      senders.set(ownId, keptText(from), line);
      const token = tokenOf(from);
      const attempt = token === undefined ? undefined : claimedName(token);
      if (attempt !== undefined) attempts.set(keyOf(attempt), ownId, line);
    },
    started() {
      startedLine = line;
    },
    senderOf: (queueId) => senders.get(queueId),
    sessionsOf(port) {
      const completeSince = Math.max(missedLine + 1, attempts.completeSince, ports.completeSince);
      return (ports.get(port) ?? []).map((session) => factsOf(session, { completeSince, startedLine }));
    },
    activeQueueIdOf: (attempt) => attempts.get(keyOf(attempt)),
  };
}

function factsOf(
  { connectedAtMs, disconnectedAtMs, wasCut, queueIds, line }: Session,
  { completeSince, startedLine }: { readonly completeSince: number; readonly startedLine: number },
): SessionFacts {
  return {
    connectedAtMs,
    ...(disconnectedAtMs === undefined ? {} : { disconnectedAtMs }),
    wasCut,
    queueIds: [...queueIds],
    isWithoutGap: line >= completeSince,
    isSameRun: line > startedLine,
  };
}

function keyOf({ messageId, attempt }: AttemptName): string {
  return `${messageId}/${attempt}`;
}
