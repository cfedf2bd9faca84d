// `postlane guard status|confirm`: what the guard holds and why, what would be sent again, and the word that lets it go.
// The only commands that speak to a database which the guard refuses: somebody has to be able to say that it is meant.

import os from "node:os";
import type { Pool } from "pg";
import { openGuardMemory } from "../../guard/guard-memory.ts";
import { confirmGuard, readGuard, type GuardRow } from "../../guard/guard-store.ts";
import { printIdentity, type GuardVerdict, type Memory, type Sight } from "../../guard/judge-guard.ts";
import { confirmedMemory, peekAtDatabase } from "../../guard/look-at-database.ts";
import { readSendAgain, type SendAgainRow } from "../../guard/send-again-store.ts";
import { readGuardReason, tellVerdict } from "../../guard/tell-guard.ts";
import type { Config } from "../../platform/config.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, DASH, number, printCount, printTable, printTime, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withAnyDatabase } from "./with-database.ts";

export interface GuardConfirmOptions extends CommonOptions {
  readonly yes?: boolean;
}

interface Found {
  readonly row: GuardRow;
  readonly sight: Sight;
  readonly memory: Memory | undefined;
  /** What the next process that sends would make of it. */
  readonly verdict: GuardVerdict;
  readonly sendAgain: readonly SendAgainRow[];
}

export async function runGuardStatus(options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const found = await withAnyDatabase(config, (pool) => find(pool, config));
  output.answer(answerOf(found));
  for (const line of printFound(found)) output.print(line);
  return EXIT_DONE;
}

export async function runGuardConfirm(options: GuardConfirmOptions): Promise<number> {
  if (options.json === true && options.yes !== true) throw misused("With --json, say --yes as well: nobody is asked.");
  const config = readConfig(options);
  const output = createOutput(options);
  return await withAnyDatabase(config, async (pool) => {
    const found = await find(pool, config);
    if (!isAnythingToConfirm(found)) {
      output.answer({ confirmed: false, held: null });
      output.print("there is nothing to confirm: the guard holds nothing");
      return EXIT_DONE;
    }
    for (const line of printFound(found)) output.print(line);
    await mustBeMeant(options);
    await confirm(pool, config, found);
    output.answer({ confirmed: true, held: found.row.held });
    sayConfirmed(output);
    return EXIT_DONE;
  });
}

async function find(pool: Pool, config: Config): Promise<Found> {
  const memory = openGuardMemory(config.dataDir);
  const { sight, verdict } = await peekAtDatabase({ pool, memory, gapMs: config.guardGapMs });
  const row = await readGuard(pool);
  const isQuestion = row.held !== null || verdict.kind !== "sound";
  return { row, sight, memory: memory.read(), verdict, sendAgain: isQuestion ? await readSendAgain(pool) : [] };
}

function isAnythingToConfirm({ row, verdict }: Found): boolean {
  return row.held !== null || verdict.kind !== "sound";
}

async function mustBeMeant({ yes }: GuardConfirmOptions): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new CommandFailure("not_confirmed", "Nothing was changed. Say --yes to let all of this go out.");
  }
  const { confirm: ask, isCancel } = await import("@clack/prompts");
  const answer = await ask({ message: "Let all of this go out?", initialValue: false });
  if (isCancel(answer) || !answer) throw new CommandFailure("not_confirmed", "Nothing was changed.");
}

async function confirm(pool: Pool, { dataDir }: Config, { sight, memory }: Found): Promise<void> {
  const nKnown = Math.max(sight.n, memory?.n ?? 0);
  await confirmGuard(pool, sight.seen, { nKnown, by: `${os.userInfo().username}@${os.hostname()}` });
  openGuardMemory(dataDir).keep(await confirmedMemory(pool));
}

function sayConfirmed(output: Output): void {
  output.print("confirmed: this database is the one to send from; in force within a second");
}

// ---- for programs ----------------------------------------------------------------------------------------------------

function answerOf({ row, sight, memory, verdict, sendAgain }: Found): object {
  return {
    held: row.held,
    held_at: row.held_at?.toISOString() ?? null,
    reason: row.reason,
    sentence: readGuardReason(row) ?? null,
    next_look: verdict.kind,
    remembered: {
      database: printIdentity(sight.remembered),
      timeline: sight.remembered.timeline,
      heartbeats: sight.n,
      heartbeat_at: isoOf(sight.beat_at_ms),
    },
    seen: { database: printIdentity(sight.seen), timeline: sight.seen.timeline },
    this_machine:
      memory === undefined
        ? null
        : {
            database: printIdentity(memory),
            timeline: memory.timeline,
            heartbeats: memory.n,
            heartbeat_at: isoOf(memory.beat_at_ms),
          },
    confirmed_at: row.confirmed_at?.toISOString() ?? null,
    confirmed_by: row.confirmed_by,
    would_send_again: sendAgain.map(({ oldest, newest, is_bulk, ...line }) => ({
      ...line,
      is_held: isHeld(row, is_bulk),
      oldest: oldest?.toISOString() ?? null,
      newest: newest?.toISOString() ?? null,
    })),
  };
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function isHeld({ held }: GuardRow, isBulk: boolean): boolean {
  return held === "all" || (held === "bulk" && isBulk);
}

// ---- for people ------------------------------------------------------------------------------------------------------

function printFound(found: Found): readonly string[] {
  return [...printHold(found), "", ...printViews(found), ...printConfirmation(found), ...printSendAgain(found)];
}

function printHold({ row, verdict }: Found): readonly string[] {
  const sentence = readGuardReason(row);
  const next = tellVerdict(verdict);
  return [
    ...(row.held === null ? [] : [sentence ?? `the guard holds mail (${row.held})`]),
    ...(next === undefined ? [] : [`when Postlane starts: ${next}`]),
    ...(row.held === null && next === undefined ? ["the guard holds nothing: this database is what it was"] : []),
  ];
}

function printViews({ sight, memory }: Found): readonly string[] {
  const columns = [text("as"), text("database"), number("timeline"), number("heartbeats"), text("last heartbeat")];
  const { seen, remembered, n, beat_at_ms: beatAtMs } = sight;
  return printTable(columns, [
    ["the database says", printIdentity(remembered), cell(remembered.timeline), printCount(n), printMs(beatAtMs)],
    ["the server is", printIdentity(seen), cell(seen.timeline), "", ""],
    memory === undefined
      ? ["this machine knows", DASH, DASH, DASH, DASH]
      : [
          "this machine knows",
          printIdentity(memory),
          cell(memory.timeline),
          printCount(memory.n),
          printMs(memory.beat_at_ms),
        ],
  ]);
}

function printConfirmation({ row }: Found): readonly string[] {
  if (row.confirmed_at === null) return [];
  return [`last confirmed at ${printTime(row.confirmed_at.toISOString())} by ${row.confirmed_by ?? "somebody"}`];
}

function printSendAgain(found: Found): readonly string[] {
  if (!isAnythingToConfirm(found)) return [];
  const { row, sendAgain } = found;
  if (sendAgain.length === 0) return ["", "nothing waits that could go out a second time"];
  const messages = sendAgain.reduce((sum, line) => sum + line.messages, 0);
  const columns = [
    text("lane"),
    text("campaign"),
    text(""),
    number("messages"),
    number("recipients"),
    text("accepted from"),
    text("to"),
  ];
  const cells = sendAgain.map((line) => [
    line.lane,
    line.campaign ?? DASH,
    isHeld(row, line.is_bulk) ? "held" : (line.status ?? ""),
    printCount(line.messages),
    printCount(line.recipients),
    printTime(line.oldest?.toISOString() ?? null),
    printTime(line.newest?.toISOString() ?? null),
  ]);
  return [
    "",
    `${countOf(messages, "message")} may have been sent already, in the time that this database lacks:`,
    ...printTable(columns, cells),
    "",
    "compare with your relay's log and your site; `postlane campaign cancel NAME` and `postlane message cancel ID` withdraw",
    "what has arrived, then `postlane guard confirm` lets the rest go out",
  ];
}

function cell(timeline: number | null): string {
  return timeline === null ? DASH : String(timeline);
}

function printMs(ms: number | null): string {
  return printTime(isoOf(ms));
}
