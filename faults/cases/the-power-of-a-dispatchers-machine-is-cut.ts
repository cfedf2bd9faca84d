// The machine of the dispatchers dies, and with it the page cache that held their journals; the database is on another
// machine and stays. Then the same disk is back under another boot: all of Postlane's processes die at once, the disk loses
// what was not flushed, and what is started on it again reads another boot id. In half of the cuts the disk was synced a
// moment before, as the kernel does by itself from time to time: so that journals come back, too, and not only their lack.

import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { inScope } from "../../test/rig/scope.ts";
import type { Fault, FaultContext } from "../fault.ts";
import { readAttemptEnds, readClaimedOfDead, type ClaimedAttempt } from "../rig/books-store.ts";
import { BOOT_TOOLS, bootAnew } from "../rig/boots.ts";
import { CUT_TOOLS, makeCutVolume, type CutVolume } from "../rig/cut-volume.ts";
import { seededDice } from "../rig/dice.ts";
import { startOutsideServer } from "../rig/outside-server.ts";
import { makePassableFolder } from "../rig/passable-folder.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** Configuration and secrets, logs and journals. */
const DISK_MB = 256;
/** Of each lane, and less than a dispatcher would claim by itself, a second of mail: it is the bound that is tried. */
const CLAIM_AHEAD_MAX = 50;
/** The default, written down. */
const MAX_OPEN = 60;
/** The shortest lease, and short waits: a machine that is back is not what the defaults wait for. */
const CONFIG = 'lease: "3 s"\nrescue_grace: "1 s"';
const GRACE = "2 s";
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2000;
const LOOK_MS = 10;
const SESSIONS_MS_MAX = 10_000;

type Policy = "hold" | "resend";

export const fault: Fault = {
  promises: ["no_duplicate", "unknown", "one_state"],
  what:
    "power cut of the dispatchers' machine with their journals, under load; the same disk comes back under another boot " +
    "(half of the cuts under `hold`, half under `resend`)",
  unit: "power cuts",
  small: 2,
  full: 50,
  recoveryMsMax: 10_000,
  needs: [...CUT_TOOLS, ...BOOT_TOOLS],
  async run(context) {
    const tally = createTally();
    const held = Math.ceil(context.runs / 2);
    for (const [policy, cuts] of [
      ["hold", held],
      ["resend", context.runs - held],
    ] as const) {
      if (cuts > 0) await inScope((scope) => cutUnder(policy, cuts, { ...context, scope }, tally));
    }
    return tally.outcome();
  },
};

async function cutUnder(policy: Policy, cuts: number, context: FaultContext, tally: Tally): Promise<void> {
  const { scope, seed, say, isFull, ledgersIn } = context;
  const dice = seededDice(seed);
  const server = await startOutsideServer(scope, makePassableFolder(scope, "other-machine"));
  const volume = await makeCutVolume(scope, { megabytes: DISK_MB });
  const world = await bringUpWorld(scope, {
    name: `cut-machine-${policy}`,
    say: (line) => say(`${policy}: ${line}`),
    databaseUrl: server.databaseUrl,
    inFolder: volume.folder,
    launcher: bootAnew(scope),
    unknown: policy,
    config: CONFIG,
    laneConfig: `claim_ahead_max: ${CLAIM_AHEAD_MAX}${policy === "resend" ? `, unknown_grace: "${GRACE}"` : ""}`,
    outletConfig: `max_open: ${MAX_OPEN}`,
    isFull,
    ledgersIn,
  });
  await world.untilRecovered(wallMs());
  // What was set up is on the disk for long.
  sync(volume);
  const cutOff: CutOff[] = [];
  for (let nth = 1; nth <= cuts; nth++) {
    await sleep(PAUSE_MS_MIN + dice() * (PAUSE_MS_MAX - PAUSE_MS_MIN));
    if (dice() < 0.5) {
      sync(volume);
      await sleep(dice() * PAUSE_MS_MIN);
    }
    const pausedMsBefore = world.pausedMs();
    const cut = await cutMachine(world, volume);
    const upAtMs = wallMs();
    await world.upAgain();
    const ms = (await world.untilRecovered(upAtMs)) - upAtMs;
    tally.recovered(ms, world.pausedMs() > pausedMsBefore);
    tally.ran();
    expectBounded(cut, tally);
    cutOff.push(cut);
    say(
      `${policy}: cut ${nth} of ${cuts}: ${cut.claimed.length} were claimed and not settled, ` +
        `mail again after ${Math.round(ms)} ms`,
    );
  }
  const judged = await world.judge();
  tally.judged(judged);
  if (policy === "hold")
    tally.expect(judged.verdict.duplicates === 0, `under hold, ${judged.verdict.duplicates} were sent a second time`);
  await expectUnknown(world, policy, cutOff, tally);
  await world.stop();
}

function sync({ folder }: CutVolume): void {
  spawnSync("sync", ["--file-system", folder]);
}

interface CutOff {
  /** When the disk was back, and nothing had begun again. */
  readonly backAtMs: number;
  readonly claimed: readonly ClaimedAttempt[];
  /** Recipients of whom the sink has a message. */
  readonly received: ReadonlySet<string>;
}

/** What was claimed and not settled, after everything that the dead had asked the database for is over. */
async function cutMachine(world: World, volume: CutVolume): Promise<CutOff> {
  world.supervisor.killAll();
  await volume.cut();
  await volume.restore();
  const deadlineMs = wallMs() + SESSIONS_MS_MAX;
  while (wallMs() < deadlineMs) {
    const call = await world.books.call(readClaimedOfDead);
    if (call.kind === "committed" && call.value !== undefined) {
      world.look();
      const received = new Set(world.receptions.map(({ recipient }) => recipient));
      return { backAtMs: wallMs(), claimed: call.value, received };
    }
    await sleep(LOOK_MS);
  }
  throw new Error(`sessions of dead processes are still there after ${SESSIONS_MS_MAX / 1000} s`);
}

/** What was answered since the last commit comes on top: it can only be what the sink has. */
function expectBounded(cut: CutOff, tally: Tally): void {
  for (const { lane, claimed, received } of claimedByDispatcher(cut)) {
    tally.expect(
      claimed - received <= CLAIM_AHEAD_MAX + MAX_OPEN,
      `a dispatcher of ${lane} had claimed ${claimed}, of which ${received} had arrived; claim_ahead_max and the open ` +
        `window are ${CLAIM_AHEAD_MAX + MAX_OPEN}`,
    );
  }
}

interface ClaimedCount {
  readonly lane: string;
  claimed: number;
  received: number;
}

/** Of leases that still held something; several of a lane when a former one is not rescued yet. */
function claimedByDispatcher({ claimed, received }: CutOff): readonly ClaimedCount[] {
  const leases = new Map<number, ClaimedCount>();
  for (const { leaseId, lane, recipient } of claimed) {
    const count = leases.get(leaseId) ?? { lane, claimed: 0, received: 0 };
    leases.set(leaseId, count);
    count.claimed++;
    if (received.has(recipient)) count.received++;
  }
  return [...leases.values()];
}

/** The words that a story has for how an attempt ended. */
const ENDS = new Set(["unknown", "sent", "bounced", "deferred", "expired"]);

/** What was cut off is unknown, or was settled by what a journal shows: then it did not go out again. */
async function expectUnknown(world: World, policy: Policy, cuts: readonly CutOff[], tally: Tally): Promise<void> {
  const call = await world.books.call(async (client) => {
    const ends = await readAttemptEnds(
      client,
      cuts.flatMap(({ claimed }) => claimed),
    );
    return new Map(ends.map((end) => [keyOf(end), end]));
  });
  if (call.kind !== "committed") throw new Error(`the stories cannot be read: ${call.kind}`);
  const lastReceivedAtMs = new Map(world.receptions.map(({ recipient, atMs }) => [recipient, atMs]));
  const counted = new Set<string>();
  let [unknown, answered] = [0, 0];
  for (const { backAtMs, claimed } of cuts) {
    for (const attempt of claimed) {
      const key = keyOf(attempt);
      // What nobody had rescued before the next cut was seen there, too.
      if (counted.has(key)) continue;
      counted.add(key);
      const { kinds } = call.value.get(key)!;
      const end = kinds.find((kind) => ENDS.has(kind));
      if (end === "unknown") unknown++;
      else if (end !== undefined && (lastReceivedAtMs.get(attempt.recipient) ?? Infinity) < backAtMs) answered++;
      else
        tally.complain(
          `msg_${attempt.messageId} was claimed at a cut, attempt ${attempt.attempt}, and no journal shows it answered: ` +
            `it is not unknown but ${end ?? "given back"}`,
        );
    }
  }
  const most = Math.max(0, ...cuts.flatMap((cut) => claimedByDispatcher(cut).map(({ claimed }) => claimed)));
  tally.note(
    `Under ${policy}: ${unknown + answered} were claimed and not settled at ${cuts.length} cuts, ${most} of one ` +
      `dispatcher at most (claim_ahead_max and the open window are ${CLAIM_AHEAD_MAX + MAX_OPEN}, what was answered ` +
      `since the last commit comes on top); ${unknown} became unknown, ${answered} were settled by what a journal that ` +
      "had reached the disk shows answered.",
  );
}

const keyOf = ({ messageId, attempt }: Pick<ClaimedAttempt, "messageId" | "attempt">): string =>
  `${messageId} ${attempt}`;
