// PostgreSQL stands still (SIGSTOP of all its processes), as when its disk hangs or its machine is paused, for less than a
// lease and for much more. Meanwhile the doors say "not now" in time, hand-overs stop before the lease is over, and after
// the thaw mail moves again by itself.

import { setTimeout as sleep } from "node:timers/promises";
import { freezeServer } from "../../test/rig/freeze.ts";
import type { Fault } from "../fault.ts";
import { DOORS, HANG_MS, probeDoors, type Door, type DoorAnswer, type DoorProbe } from "../rig/door-probe.ts";
import { ownProcessesWhenReady } from "../rig/own-processes.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

interface Plan {
  readonly leaseMs: number;
  /** Taken in turn. */
  readonly frozenS: readonly number[];
}

const FULL: Plan = { leaseMs: 15_000, frozenS: [5, 30, 120] };
/** With the shortest lease that the configuration takes, so that five seconds are longer than one, too. */
const SMALL: Plan = { leaseMs: 3000, frozenS: [5, 2] };
/** What the contract gives a request, whatever the database does. */
const ANSWER_MS_MAX = 3000;
/** Before a freeze, so that mail is in every stage of the road. */
const BEFORE_MS = 1000;
const LOOK_MS = 50;

interface Freeze {
  readonly frozenAtMs: number;
  readonly thawedAtMs: number;
}

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "lease"],
  what: "PostgreSQL frozen (SIGSTOP) for 5, 30 and 120 s, with clients at both doors",
  unit: "freezes",
  small: 2,
  full: 9,
  // Whoever gave up waiting connects again within a quarter of a second; then a new lease, and a rescue before it.
  recoveryMsMax: 10_000,
  async run({ runs, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const plan = isFull ? FULL : SMALL;
    const config = `lease: "${plan.leaseMs / 1000} s"`;
    const world = await bringUpWorld(scope, { name: "frozen", say, config, isFull, ledgersIn });
    await ownProcessesWhenReady(world);
    const probe = await probeDoors(scope, world);
    const freezes: Freeze[] = [];
    for (let run = 0; run < runs; run++) {
      await sleep(BEFORE_MS);
      const pausedMsBefore = world.pausedMs();
      const frozenMs = plan.frozenS[run % plan.frozenS.length]! * 1000;
      const freeze = await freezeFor(world, frozenMs);
      const ms = (await world.untilRecovered(freeze.thawedAtMs)) - freeze.thawedAtMs;
      const isDisturbed = world.pausedMs() > pausedMsBefore;
      tally.recovered(ms, isDisturbed);
      tally.ran();
      judgeHandOvers(tally, world, freeze, plan.leaseMs);
      if (!isDisturbed) judgeDoors(tally, probe, freeze);
      freezes.push(freeze);
      say(`freeze ${run + 1} of ${runs}: ${frozenMs / 1000} s, mail again ${Math.round(ms)} ms after the thaw`);
    }
    const left = await probe.stop();
    tally.expect(left === 0, `${left} submissions at the doors were never accepted, though the database answers again`);
    for (const door of DOORS) tally.note(describeDoor(door, probe, freezes));
    tally.judged(await world.judge());
    await world.stop();
    return tally.outcome();
  },
};

async function freezeFor({ installation, supervisor }: World, ms: number): Promise<Freeze> {
  const pid = await installation.postmasterPid();
  if (pid === undefined) throw new Error("there was no PostgreSQL to freeze");
  const thaw = freezeServer(pid);
  const frozenAtMs = wallMs();
  try {
    for (const deadline = frozenAtMs + ms; wallMs() < deadline;) {
      await Promise.race([sleep(Math.min(LOOK_MS, Math.max(1, deadline - wallMs()))), supervisor.unexpectedEnd]);
    }
  } finally {
    thaw();
  }
  return { frozenAtMs, thawedAtMs: wallMs() };
}

/** The last renewal came before the freeze; the sink answers at once, so that nothing is in flight for long. */
function judgeHandOvers(tally: Tally, world: World, { frozenAtMs, thawedAtMs }: Freeze, leaseMs: number): void {
  world.look();
  const deadlineMs = frozenAtMs + leaseMs;
  const late = world.receptions.filter(({ atMs }) => atMs > deadlineMs && atMs < thawedAtMs);
  tally.expect(late.length === 0, `${late.length} messages were received after the lease was over, before the thaw`);
}

function judgeDoors(tally: Tally, { answers }: DoorProbe, { frozenAtMs, thawedAtMs }: Freeze): void {
  const frozenS = Math.round((thawedAtMs - frozenAtMs) / 1000);
  for (const door of DOORS) {
    const during = answersDuring(door, answers, { frozenAtMs, thawedAtMs });
    const hanging = during.filter(({ tookMs }) => tookMs >= HANG_MS).length;
    const late = during.filter(({ tookMs }) => tookMs > ANSWER_MS_MAX);
    const whole = during.filter(({ askedAtMs, endedAtMs }) => askedAtMs > frozenAtMs && endedAtMs < thawedAtMs);
    const wrong = whole.filter(({ code }) => !isNotNow(door, code));
    const isLong = thawedAtMs - frozenAtMs > ANSWER_MS_MAX;
    tally.expect(
      !isLong || whole.length > 0,
      `the ${door} door answered nobody while PostgreSQL stood still for ${frozenS} s`,
    );
    tally.expect(hanging === 0, `${hanging} clients of the ${door} door waited for more than ${HANG_MS / 1000} s`);
    tally.expect(
      late.length === 0,
      `${late.length} of ${during.length} answers of the ${door} door took more than ${ANSWER_MS_MAX} ms ` +
        `(the slowest ${slowestOf(late)} ms) while PostgreSQL stood still for ${frozenS} s`,
    );
    const codes = [...new Set(wrong.map(({ code }) => code))].join(", ");
    tally.expect(wrong.length === 0, `the ${door} door answered ${codes} while PostgreSQL stood still`);
  }
}

function answersDuring(
  door: Door,
  answers: readonly DoorAnswer[],
  { frozenAtMs, thawedAtMs }: Freeze,
): readonly DoorAnswer[] {
  return answers.filter(
    ({ door: at, askedAtMs, endedAtMs }) => at === door && askedAtMs < thawedAtMs && endedAtMs > frozenAtMs,
  );
}

function isNotNow(door: Door, code: number): boolean {
  return door === "http" ? code === 503 || code === 429 : code >= 400 && code < 500;
}

function describeDoor(door: Door, { answers }: DoorProbe, freezes: readonly Freeze[]): string {
  const during = freezes.flatMap((freeze) => answersDuring(door, answers, freeze));
  const codes = [...new Set(during.map(({ code }) => code))].toSorted((one, other) => one - other);
  return (
    `While PostgreSQL stood still the ${door} door gave ${during.length} answers (${codes.join(", ")}), ` +
    `the slowest after ${slowestOf(during)} ms.`
  );
}

function slowestOf(answers: readonly DoorAnswer[]): number {
  return Math.round(Math.max(0, ...answers.map(({ tookMs }) => tookMs)));
}
