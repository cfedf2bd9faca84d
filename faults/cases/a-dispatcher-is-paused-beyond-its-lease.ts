// A dispatcher is paused (SIGSTOP) until its lease is over and the front has rescued what it had claimed, as unknown; then it
// goes on. It must hand over nothing of that any more but what was behind its dot already, and write no state: what it
// learns late is an event, and settles what is unknown still. Of each lane one is paused, while another one serves it.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import { readJournal } from "../../src/dispatcher/journal.ts";
import type { Fault } from "../fault.ts";
import { isLeaseThere, readClaims, readFates, type ClaimedMessage, type Claims } from "../rig/claims-store.ts";
import { seededDice } from "../rig/dice.ts";
import { wallMs, type Lane } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, LANES, type World } from "../rig/world.ts";

/** The shortest lease that the configuration takes. */
const LEASE_MS = 3000;
const GRACE_MS = 1000;
const CONFIG = `lease: "${LEASE_MS / 1000} s"\nrescue_grace: "${GRACE_MS / 1000} s"`;
/** The front looks every five seconds; and what a busy machine takes. */
const RESCUED_MS_MAX = LEASE_MS + GRACE_MS + 15_000;
/** What the paused process had sent to the database is done, and what it had sent to the sink is in its ledger. */
const IN_FLIGHT_MS = 500;
const PAUSE_MS_MAX = 1000;
const LOOK_MS = 50;

interface Paused extends Claims {
  readonly lane: Lane;
  readonly pid: number;
  readonly stoppedAtMs: number;
  /** Of what it had claimed: no final dot was permitted when it was stopped. */
  readonly untouched: readonly ClaimedMessage[];
}

export const fault: Fault = {
  promises: ["one_state", "no_duplicate", "unknown", "lease"],
  what: "a dispatcher paused (SIGSTOP) until the front has rescued what it had claimed, and then continued",
  unit: "pauses",
  small: 2,
  full: 50,
  // From when it goes on.
  recoveryMsMax: 5000,
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const world = await bringUpWorld(scope, {
      name: "paused",
      say,
      config: CONFIG,
      laneConfig: "dispatchers: 2",
      isFull,
      ledgersIn,
    });
    await world.untilRecovered(wallMs());
    let [untouched, behindDot] = [0, 0];
    for (let run = 0; run < runs;) {
      await sleep(dice() * PAUSE_MS_MAX);
      const lanes = LANES.slice(0, runs - run);
      const pids = lanes.map((lane) => pickDispatcher(world, lane, dice));
      const pausedMsBefore = world.pausedMs();
      const all = await pauseAll(world, lanes, pids);
      for (const paused of all) await untilRescued(tally, world, paused);
      for (const { pid } of all) sendSignal(pid, "SIGCONT");
      const resumedAtMs = wallMs();
      for (const paused of all) await untilItServesAgain(world, paused);
      const ms = (await world.untilRecovered(resumedAtMs, lanes)) - resumedAtMs;
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      for (const paused of all) {
        await judgePaused(tally, world, paused);
        untouched += paused.untouched.length;
        behindDot += paused.messages.length - paused.untouched.length;
        tally.ran();
        run++;
      }
      say(`${run} of ${runs} pauses: ${all.map(({ lane, messages }) => `${lane} had ${messages.length}`).join(", ")}`);
    }
    const judged = await world.judge();
    tally.judged(judged);
    tally.expect(judged.verdict.duplicates === 0, `${judged.verdict.duplicates} duplicates under hold`);
    await world.stop();
    tally.note(
      `When they were paused ${untouched} messages were claimed without a final dot, and ${behindDot} with one.`,
    );
    return tally.outcome();
  },
};

function pickDispatcher({ installation }: World, lane: Lane, dice: () => number): number {
  const running = installation.dispatchersOf(lane);
  const chosen = running[Math.floor(dice() * running.length)];
  if (chosen === undefined) throw new Error(`no dispatcher serves ${lane}`);
  return chosen.pid;
}

async function pauseAll(world: World, lanes: readonly Lane[], pids: readonly number[]): Promise<readonly Paused[]> {
  for (const pid of pids) sendSignal(pid, "SIGSTOP");
  const stoppedAtMs = wallMs();
  await sleep(IN_FLIGHT_MS);
  return await Promise.all(lanes.map((lane, index) => lookAtPaused(world, lane, pids[index]!, stoppedAtMs)));
}

async function lookAtPaused(world: World, lane: Lane, pid: number, stoppedAtMs: number): Promise<Paused> {
  const call = await world.books.call((client) => readClaims(client, pid));
  if (call.kind !== "committed") throw new Error("the books cannot be read");
  if (call.value === undefined) throw new Error(`the ${lane} dispatcher had no lease when it was paused`);
  const { leaseId, messages } = call.value;
  const journal = readJournal(path.join(world.installation.dataDir, "journal", `${lane}-${leaseId}.journal`));
  const untouched = messages.filter(
    ({ id, attempt }) => journal?.verdictOn(id as MessageId, attempt).kind === "no_line",
  );
  return { lane, pid, stoppedAtMs, leaseId, messages, untouched };
}

async function untilRescued(tally: Tally, world: World, { lane, leaseId, stoppedAtMs }: Paused): Promise<void> {
  while (await isThere(world, leaseId)) {
    if (wallMs() > stoppedAtMs + RESCUED_MS_MAX) {
      return tally.complain(
        `what a paused ${lane} dispatcher had claimed was not rescued, ${RESCUED_MS_MAX / 1000} s after it was paused ` +
          `(lease ${LEASE_MS / 1000} s, grace ${GRACE_MS / 1000} s)`,
      );
    }
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
}

/** By then it has written down what came late. */
async function untilItServesAgain(world: World, { lane, pid, leaseId }: Paused): Promise<void> {
  for (const deadline = wallMs() + RESCUED_MS_MAX; ;) {
    const call = await world.books.call((client) => readClaims(client, pid));
    if (call.kind === "committed" && call.value !== undefined && call.value.leaseId !== leaseId) return;
    if (!world.installation.dispatchersOf(lane).some((running) => running.pid === pid))
      throw new Error(`the ${lane} dispatcher ended when it was continued`);
    if (wallMs() > deadline) throw new Error(`the ${lane} dispatcher took no new lease when it was continued`);
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
}

async function isThere(world: World, leaseId: number): Promise<boolean> {
  const call = await world.books.call((client) => isLeaseThere(client, leaseId));
  return call.kind !== "committed" || call.value;
}

/** What had no final dot is unknown, and stays so under `hold`: whoever hands it over, or settles it, had no right to. */
async function judgePaused(tally: Tally, world: World, paused: Paused): Promise<void> {
  const { lane, untouched, stoppedAtMs } = paused;
  world.look();
  const recipients = new Set(untouched.map(({ recipient }) => recipient));
  const sent = world.receptions.filter(({ recipient, atMs }) => atMs > stoppedAtMs && recipients.has(recipient));
  tally.expect(
    sent.length === 0,
    `${sent.length} of ${untouched.length} messages that a paused ${lane} dispatcher had claimed, and not begun to send, ` +
      "were received after it was paused",
  );
  const call = await world.books.call((client) => readFates(client, untouched));
  if (call.kind !== "committed") throw new Error("the books cannot be read");
  const changed = call.value.filter(({ state, lateEvents }) => state !== "unknown" || lateEvents > 0);
  tally.expect(
    changed.length === 0,
    `${changed.length} of ${untouched.length} messages that a paused ${lane} dispatcher had claimed, and not begun to ` +
      `send, are not unknown any more (msg_${changed[0]?.id} is ${changed[0]?.state ?? "settled"})`,
  );
}
