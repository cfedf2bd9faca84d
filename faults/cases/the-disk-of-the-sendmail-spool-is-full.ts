// The disk of the sendmail command's spool is full to the last octet while programs pipe mails in and Postlane's door does
// not answer them. Each mail is kept whole and exit code 0 says so, or it is refused with 75 (EX_TEMPFAIL) and nothing of it
// is left; what was kept before and after is handed over by the front, without anybody's command.

import { readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NOBODY, runSendmail, type SendmailEnd } from "../../test/integration/sendmail-command.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { mountSmallDisk } from "../../test/rig/small-disk.ts";
import type { Fault, FaultContext } from "../fault.ts";
import { seededDice } from "../rig/dice.ts";
import { keepFull } from "../rig/keep-full.ts";
import { makePassableFolder } from "../rig/passable-folder.ts";
import { textOf, wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const DISK_SIZE = "8m";
/** Programs that pipe a mail in at the same time. */
const CALLERS = 2;
const BEFORE_MS_MAX = 1500;
const FULL_MS = 3000;
/** Of what is kept, the front takes at the next look: every 5 s, and more seldom while nothing is taken. */
const TAKEN_MS_MAX = 60_000;
const LOOK_MS = 20;
/** Numbers of recipients far from those of the site. */
const FIRST_NUMBER = 9_000_001;

/** Little, so that what waits meanwhile is soon handed over: backlogs are not what is tried. */
const RATES = { transactionalPerS: 20, bulkPerS: 200 };

export const fault: Fault = {
  promises: ["durable", "one_state"],
  what: "the disk of the sendmail command's spool is full to the last octet for 3 s, while programs pipe mails in",
  unit: "full disks",
  small: 1,
  full: 5,
  needs: ["may-mount"],
  async run(context) {
    const { runs, seed, scope, say } = context;
    const tally = createTally();
    const dice = seededDice(seed);
    const spool = makePassableFolder(scope, "spool");
    const disk = mountSmallDisk(scope, spool, DISK_SIZE);
    const world = await bringUpSpoolWorld(scope, spool, context);
    const callers = startCallers(world, spool);
    scope.after(() => callers.stop());
    await world.untilRecovered(wallMs());
    let slowestMs = 0;
    for (let run = 1; run <= runs; run++) {
      await sleep(dice() * BEFORE_MS_MAX);
      const keptBefore = callers.kept.length;
      const fullAtMs = wallMs();
      const emptiedAtMs = await keepFull(disk, world, FULL_MS);
      const ms = (await untilOneArrives(world, callers, emptiedAtMs)) - emptiedAtMs;
      slowestMs = Math.max(slowestMs, ms);
      tally.recovered(ms);
      tally.ran();
      expectRefusals(callers.ends, { fullAtMs, emptiedAtMs }, tally);
      tally.expect(callers.kept.length > keptBefore, "nothing was kept after there was room");
      say(
        `full disk ${run} of ${runs}: a mail that was kept afterwards arrived ${Math.round(ms)} ms after there was room`,
      );
    }
    await callers.stop();
    await untilTaken(world, callers.kept, tally);
    const left = filesIn(spool);
    tally.expect(left.length === 0, `the spool still holds ${left.join(", ")}`);
    tally.judged(await world.judge());
    const refused = callers.ends.filter(({ end }) => end.exitCode === 75).length;
    tally.note(
      `${callers.kept.length} mails were kept and arrived, ${refused} were refused with exit code 75 and left nothing; ` +
        `the first of those kept afterwards arrived ${Math.round(slowestMs)} ms after there was room, at the latest.`,
    );
    await world.stop();
    return tally.outcome();
  },
};

async function bringUpSpoolWorld(scope: Scope, spool: string, { say, ledgersIn }: FaultContext): Promise<World> {
  return await bringUpWorld(scope, {
    name: "full-spool",
    say,
    rates: RATES,
    config: `sendmail: { spool: ${JSON.stringify(spool)} }`,
    ledgersIn,
  });
}

interface Call {
  readonly recipient: string;
  readonly begunAtMs: number;
  readonly endedAtMs: number;
  readonly end: SendmailEnd;
}

interface Callers {
  readonly ends: readonly Call[];
  /** Recipients of those that ended with 0. */
  readonly kept: readonly string[];
  stop(): Promise<void>;
}

/** They find nobody at the door: so every mail is kept, or refused. */
function startCallers(world: World, spool: string): Callers {
  const ends: Call[] = [];
  const kept: string[] = [];
  const env = { PATH: process.env["PATH"], HOME: spool, POSTLANE_SPOOL: spool, POSTLANE_SMTP: NOBODY };
  let number = FIRST_NUMBER;
  let isStopped = false;
  const call = async (): Promise<void> => {
    const name = `t${number++}`;
    const recipient = `${name}@spool.crash.example`;
    world.submissions.note("sub", [recipient]);
    const begunAtMs = wallMs();
    const mail = `From: shop@sender.example\nTo: ${recipient}\nSubject: Kept\n\n${textOf(name)}`;
    const end = await runSendmail({ env }, ["-i", "-f", "shop@sender.example", recipient], mail);
    world.submissions.note(end.exitCode === 0 ? "ack" : "nak", [recipient]);
    ends.push({ recipient, begunAtMs, endedAtMs: wallMs(), end });
    if (end.exitCode === 0) kept.push(recipient);
  };
  const loops = Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (!isStopped) await call();
    }),
  );
  return {
    ends,
    kept,
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}

interface FullTime {
  readonly fullAtMs: number;
  readonly emptiedAtMs: number;
}

/** Kept or refused, with the reason; a call may find the room of a mail that the front took at this very moment. */
function expectRefusals(ends: readonly Call[], { fullAtMs, emptiedAtMs }: FullTime, tally: Tally): void {
  const isRefused = ({ end }: Call): boolean => end.exitCode === 75 && end.stderr.includes("ENOSPC");
  const within = ends.filter(({ begunAtMs, endedAtMs }) => begunAtMs > fullAtMs && endedAtMs < emptiedAtMs);
  tally.expect(within.some(isRefused), `of ${within.length} mails while the disk was full none was refused`);
  for (const call of ends.filter(({ endedAtMs }) => endedAtMs > fullAtMs)) {
    const { recipient, end } = call;
    tally.expect(
      end.exitCode === 0 || isRefused(call),
      `the mail to ${recipient} ended with ${end.exitCode}: ${end.stderr.trim()}`,
    );
  }
}

/** Of the mails that were begun after this moment: when the first arrived. */
async function untilOneArrives(world: World, { ends }: Callers, sinceMs: number): Promise<number> {
  while (wallMs() < sinceMs + TAKEN_MS_MAX) {
    world.look();
    const mine = new Set(ends.filter(({ begunAtMs }) => begunAtMs > sinceMs).map(({ recipient }) => recipient));
    const arrived = world.receptions.find(({ recipient }) => mine.has(recipient));
    if (arrived !== undefined) return arrived.atMs;
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
  throw new Error(`nothing of the spool arrived within ${TAKEN_MS_MAX / 1000} s after there was room`);
}

async function untilTaken(world: World, kept: readonly string[], tally: Tally): Promise<void> {
  for (const deadlineMs = wallMs() + TAKEN_MS_MAX; wallMs() < deadlineMs; await sleep(LOOK_MS)) {
    world.look();
    const arrived = new Set(world.receptions.map(({ recipient }) => recipient));
    if (kept.every((recipient) => arrived.has(recipient))) return;
  }
  tally.complain(`not all of what was kept arrived within ${TAKEN_MS_MAX / 1000} s`);
}

function filesIn(spool: string): readonly string[] {
  return readdirSync(spool, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => path.basename(name));
}
