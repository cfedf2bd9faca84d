// Whether the way to the server is straight, found out by two sessions of ours: a pooler announces another process than
// the one that answers, gives one backend to several clients, forgets what a session was told, or refuses or swallows
// what ours begin with. Tells facts; who judges them is elsewhere. Leaves nothing behind.

import pg from "pg";
import { holdBackend, markSession, readBackend, readBackendPrepared } from "./way-store.ts";

export interface WayFacts {
  /** What the way said when it refused our sessions' startup options. */
  readonly optionsRefused?: string;
  readonly hasOptions: boolean;
  /** The process that the greeting named is the one that answers. */
  readonly isAnnouncedPid: boolean;
  /** A session had the same backend while another one had a transaction open, and was not found in that one's. */
  readonly isBackendOwn: boolean;
  readonly isSettingKept: boolean;
  readonly isPreparedKept: boolean;
}

const MARK = "here";

export async function probeWay(clientConfig: pg.ClientConfig): Promise<WayFacts> {
  const sessions: pg.Client[] = [];
  try {
    const first = await openSession(clientConfig, sessions);
    return await compare(first, await openSession(clientConfig, sessions));
  } catch (error) {
    if (!isOptionsRefused(error)) throw error;
    const nothing = { isAnnouncedPid: false, isBackendOwn: false, isSettingKept: false, isPreparedKept: false };
    return { optionsRefused: error.message, hasOptions: false, ...nothing };
  } finally {
    for (const session of sessions) session.end(() => {});
  }
}

/** "unsupported startup parameter: options" of PgBouncer; others word it alike. */
function isOptionsRefused(error: unknown): error is Error {
  return error instanceof Error && /startup parameter/i.test(error.message);
}

async function openSession(clientConfig: pg.ClientConfig, sessions: pg.Client[]): Promise<pg.Client> {
  const session = new pg.Client(clientConfig);
  session.on("error", () => {}); // The query hears it too.
  sessions.push(session);
  await session.connect();
  return session;
}

async function compare(first: pg.Client, second: pg.Client): Promise<WayFacts> {
  await markSession(first, MARK);
  const before = await readBackend(first);
  const isPreparedBefore = await isPreparedTaken(first);
  const held = await holdBackend(second);
  const after = await readBackend(first);
  const isPreparedAfter = await isPreparedTaken(first);
  return {
    hasOptions: before.has_options && held.has_options,
    isAnnouncedPid: pidOf(first) === before.pid,
    isBackendOwn: before.pid === after.pid && held.pid !== after.pid && held.pid !== before.pid,
    isSettingKept: before.mark === MARK && after.mark === MARK && held.mark === "",
    isPreparedKept: isPreparedBefore && isPreparedAfter,
  };
}

async function isPreparedTaken(session: pg.Client): Promise<boolean> {
  try {
    await readBackendPrepared(session);
    return true;
  } catch (error) {
    // 26000: no such prepared statement; 42P05: another client's has this name.
    if (error instanceof pg.DatabaseError && (error.code === "26000" || error.code === "42P05")) return false;
    throw error;
  }
}

/** Of the greeting's BackendKeyData; the driver keeps it and does not declare it. */
function pidOf(session: pg.Client): number | undefined {
  return (session as unknown as { readonly processID?: number }).processID;
}
