// The guard in a process: what this machine remembers, the look before anything is claimed or rescued, and who hears of
// what it finds. A database that is refused (an old primary) is waited for: it may be replaced at any moment.

import path from "node:path";
import type { Pool } from "pg";
import { listForeignJournals } from "../dispatcher/rescue.ts";
import { admitSessions } from "../guard/admit-session.ts";
import { openGuardMemory, sweepGuardFiles, type GuardMemory } from "../guard/guard-memory.ts";
import { GuardRefused } from "../guard/guard-refused.ts";
import { readGuard } from "../guard/guard-store.ts";
import { printIdentity } from "../guard/judge-guard.ts";
import { lookAtDatabase, type GuardContext } from "../guard/look-at-database.ts";
import { readGuardReason } from "../guard/tell-guard.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { processStartOf } from "../platform/process-identity.ts";

type TellPeople = (line: string) => void;

export interface GuardHere {
  /** What it is, for its journals. */
  readonly database: string;
  /** By this look, and told. */
  readonly isHeldNow: boolean;
}

/** How long a process waits before it asks a database again that it must not use. */
const REFUSED_AGAIN_MS = 2000;

/** For the pools of a process: each session is asked whether it leads to the database that is in force. */
export function admitHere({ dataDir }: Pick<Config, "dataDir">): ReturnType<typeof admitSessions> {
  return admitSessions(openGuardMemory(dataDir));
}

export function guardContextOf(config: Config, pool: Pool, memory: GuardMemory, log: Log): GuardContext {
  return { pool, memory, gapMs: config.guardGapMs, log };
}

/** Before anything else of this process is done with the database. */
export async function guardHere(context: GuardContext, config: Config, tell: TellPeople): Promise<GuardHere> {
  sweepGuardFiles(config.dataDir, (pid) => processStartOf(pid) !== undefined);
  const look = await lookAtDatabase(context);
  const database = printIdentity(look.sight.seen);
  const isHeldNow = look.kind === "held_now";
  if (isHeldNow) tell(`ALARM: ${await sentenceOf(context.pool)}`);
  tellForeignJournals(config, database, context.log, tell);
  return { database, isHeldNow };
}

/** What the guard holds, in a sentence with what to do; undefined: nothing. */
export async function tellHold(pool: Pool): Promise<string | undefined> {
  const { held } = await readGuard(pool);
  return held === null ? undefined : await sentenceOf(pool);
}

async function sentenceOf(pool: Pool): Promise<string> {
  const sentence = readGuardReason(await readGuard(pool));
  return `${sentence ?? "the guard holds mail"}; \`postlane guard status\` says what it would send again`;
}

function tellForeignJournals({ dataDir }: Config, database: string, log: Log, tell: TellPeople): void {
  const foreign = listForeignJournals(path.join(dataDir, "journal"), database);
  if (foreign.length === 0) return;
  log.warn("guard.foreign_journals", { database, journals: foreign.length });
  tell(`${foreign.length} journals in ${dataDir} are of another database and are left alone: they are its evidence`);
}

/** Asks until a session is let in. False: told to stop meanwhile. */
export async function untilAdmitted(
  pool: Pool,
  { isStopping, log, tell }: { readonly isStopping: () => boolean; readonly log: Log; readonly tell: TellPeople },
): Promise<boolean> {
  for (let isTold = false; !isStopping();) {
    try {
      (await pool.connect()).release();
      return true;
    } catch (error) {
      if (!(error instanceof GuardRefused)) throw error;
      log.error("guard.refused", { error: error.message });
      if (!isTold) tell(`ALARM: ${error.message}`);
      isTold = true;
      await new Promise<void>((resolve) => systemClock.after(REFUSED_AGAIN_MS, resolve));
    }
  }
  return false;
}
