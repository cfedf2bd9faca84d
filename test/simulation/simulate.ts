// One run of the world from one seed: what is enqueued, what the weather is, who crashes, freezes, reboots and drains,
// and when; then quiet, in which all that was accepted has to arrive where it belongs.

import { NO_CAMPAIGN, type CampaignId, type LaneId, type MessageId } from "../../src/mail/ids.ts";
import type { LanePriority, LaneSettings } from "../../src/mail/lane.ts";
import { seededRandom, type Random } from "../../src/platform/random.ts";
import type { Log } from "../../src/platform/log.ts";
import type { CallFate, NewMessage } from "./model-queue.ts";
import type { ServedPhase, ServerAct } from "./model-relay.ts";
import { VirtualTime } from "./virtual-clock.ts";
import { mustHold } from "./violation.ts";
import { World, type LaneOfWorld, type PlantedBug, type Seat, type SigningOfWorld } from "./world.ts";

export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly messages: number;
  readonly taken: number;
  readonly unknownAttempts: number;
  /** A number made of all that was recorded, in its order: equal for equal runs. */
  readonly fingerprint: string;
}

export interface SimulationOptions {
  readonly bug?: PlantedBug;
  /** Most mail is signed, on threads that are slow at times; some of it cannot be. */
  readonly isSigned?: boolean;
  readonly log?: Log;
}

const TROUBLE_MS = 15_000;
/** After the trouble: leases end, destinations are probed again, the last deferrals come due. */
const QUIET_MS = 240_000;

export async function simulate(
  seed: number,
  { bug, isSigned = false, log }: SimulationOptions = {},
): Promise<SimulationReport> {
  const random = seededRandom(seed);
  const time = new VirtualTime(random);
  const plan = planOf(random);
  const isTrouble = (): boolean => time.nowMs < TROUBLE_MS;
  const weather = weatherOf(random, time, isTrouble);
  const world: World = new World(time, random, {
    lanes: [plan.lane],
    leaseMs: 2500 + Math.floor(random.unit() * 1500),
    rescueGraceMs: 3000,
    clockSkewMs: Math.floor(random.unit() * 7_200_000) - 3_600_000,
    fateOfCall: (name) => fateOfCall(random, isTrouble() ? plan.databaseTrouble : 0, name),
    relay: {
      hasPipelining: random.unit() < 0.8,
      act: (phase) => {
        if (isTrouble() && random.unit() < plan.strikes)
          time.after(undefined, random.unit() * 12, () => strike(world, random));
        return weather(phase);
      },
      latencyMs: () => 1 + Math.floor(random.unit() * 4),
    },
    composeFateOf: (id) => (id % 23 === 7 ? "throws" : plan.hasPoison && id === 11 ? "kills" : "fine"),
    contentBytesOf: (id) => (id % 17 === 3 ? 150_000 : 100),
    signing: isSigned ? signingOf(random) : undefined,
    bug,
    ...(log === undefined ? {} : { log }),
  });
  try {
    const messages = enqueueAll(world, time, random, plan);
    const machines = Array.from({ length: plan.machines }, () => world.addMachine());
    for (const machine of machines) world.addSeat(plan.lane, machine);
    makeTrouble(world, time, random, plan);
    const check = (): boolean => {
      world.database.checkInvariants();
      return time.nowMs > TROUBLE_MS && isAllDone(world, messages, plan.lane.settings);
    };
    await runCapturingRejections(() => time.run(TROUBLE_MS + QUIET_MS, check));
    checkTheEnd(world, messages, plan, isSigned);
    return reportOf(seed, time, world, messages);
  } finally {
    world.close();
  }
}

/**
 * Three messages and one crash, or reboot, right after the given step. Answers in how many steps all was done; steps
 * after which there is none.
 */
export async function simulateCrashAt(step: number, isReboot: boolean, isSigned: boolean): Promise<number> {
  const random = seededRandom(7);
  const time = new VirtualTime(random);
  const lane = {
    id: 1 as LaneId,
    settings: laneSettings("bulk", "hold"),
    openMax: 2,
    openPerDestinationMax: 2,
    share: 1,
  };
  const signing = isSigned ? signingOf(random) : undefined;
  const world = calmWorld(time, random, [lane], { signing });
  try {
    const destinations = ["one.example", "one.example", "two.example"];
    world.database.enqueue(
      destinations.map((destination) => messageTo(destination, lane.id)),
      1,
    );
    const machine = world.addMachine();
    const seat = world.addSeat(lane, machine);
    const check = (): boolean => {
      if (time.steps === step) {
        if (isReboot) world.reboot(machine);
        else world.crash(seat);
      }
      world.database.checkInvariants();
      return isAllDone(world, destinations.length, lane.settings);
    };
    await runCapturingRejections(() => time.run(QUIET_MS, check));
    for (const [id, state] of world.database.states) {
      mustHold(state === "sent" || state === "unknown", `message ${id} is ${state}`);
      const known = world.database.unknownAttempts.has(`${id} 1`);
      mustHold(state === "sent" || known, `message ${id} is unknown, and nothing says why`);
    }
    world.checkLedger();
    return time.steps;
  } finally {
    world.close();
  }
}

/** A transactional message every tenth of a second, while bulk has more than the relay can take. */
export async function simulateTwoLanes(
  seed: number,
): Promise<{ readonly waitedMsMax: number; readonly bulkTaken: number }> {
  const random = seededRandom(seed);
  const time = new VirtualTime(random);
  const limits = { openMax: 10, openPerDestinationMax: 10 };
  const urgent = { id: 1 as LaneId, settings: laneSettings("transactional", "resend"), ...limits, share: 0.5 };
  const bulk = { id: 2 as LaneId, settings: laneSettings("bulk", "hold"), ...limits, share: 0.5 };
  const world = calmWorld(time, random, [urgent, bulk], { capacityPerS: RELAY_CAPACITY_PER_S });
  try {
    const machine = world.addMachine();
    for (const lane of [bulk, urgent]) world.addSeat(lane, machine);
    const backlog = Array.from({ length: 600 }, (_, n) => messageTo(DESTINATIONS[n % DESTINATIONS.length]!, bulk.id));
    world.database.enqueue(backlog, 1);
    for (let n = 0; n < URGENT_MESSAGES; n++) {
      time.after(undefined, 2000 + n * 100, () => world.database.enqueue([messageTo("one.example", urgent.id)], 1));
    }
    const isUrgent = (id: MessageId): boolean => id > backlog.length;
    const takenUrgent = (): number => world.relay.ledger.filter(({ messageId }) => isUrgent(messageId)).length;
    const check = (): boolean => {
      world.database.checkInvariants();
      return takenUrgent() === URGENT_MESSAGES;
    };
    await runCapturingRejections(() => time.run(TROUBLE_MS, check));
    mustHold(
      takenUrgent() === URGENT_MESSAGES,
      `only ${takenUrgent()} of ${URGENT_MESSAGES} transactional messages went out`,
    );
    const waited = [...world.waitedMs].filter(([id]) => isUrgent(id)).map(([, ms]) => ms);
    return { waitedMsMax: Math.max(...waited), bulkTaken: world.relay.ledger.length - takenUrgent() };
  } finally {
    world.close();
  }
}

const RELAY_CAPACITY_PER_S = 40;
const URGENT_MESSAGES = 60;

function calmWorld(
  time: VirtualTime,
  random: Random,
  lanes: readonly LaneOfWorld[],
  { capacityPerS, signing }: { readonly capacityPerS?: number; readonly signing?: SigningOfWorld | undefined },
): World {
  return new World(time, random, {
    lanes,
    leaseMs: 4000,
    rescueGraceMs: 3000,
    clockSkewMs: 0,
    fateOfCall: (name) => fateOfCall(random, 0, name),
    relay: {
      hasPipelining: true,
      act: () => ({ kind: "fine", afterMs: 1 + Math.floor(random.unit() * 5) }),
      latencyMs: () => 1 + Math.floor(random.unit() * 4),
      ...(capacityPerS === undefined ? {} : { capacityPerS }),
    },
    composeFateOf: () => "fine",
    contentBytesOf: () => 100,
    signing,
  });
}

// Now and then the threads stand still for longer than a lease lasts, or than a mail may wait.
function signingOf(random: Random): SigningOfWorld {
  return {
    isSaidSigned: (id) => id % 7 !== 1 && id % 6 !== 3,
    fateOf: (id) => (id % 3 === 0 ? "unsigned" : cannotBeSigned(id) ? "fails" : "signed"),
    ms: () => (random.unit() < 0.03 ? random.unit() * 8000 : 1 + random.unit() * 20),
  };
}

const cannotBeSigned = (id: MessageId): boolean => id % 29 === 5;

const messageTo = (destination: string, laneId: LaneId): NewMessage => ({
  laneId,
  campaignId: NO_CAMPAIGN,
  destination,
  recipient: `person@${destination}`,
});

// ---- the plan ------------------------------------------------------------------------------------------------------

interface Plan {
  readonly lane: LaneOfWorld;
  readonly machines: number;
  readonly messages: number;
  readonly hasPoison: boolean;
  readonly databaseTrouble: number;
  readonly crashes: number;
  /** How often something happens to a process while it talks to the relay. */
  readonly strikes: number;
}

function planOf(random: Random): Plan {
  const priority = random.unit() < 0.3 ? "transactional" : "bulk";
  return {
    lane: {
      id: 1 as LaneId,
      settings: laneSettings(priority, random.unit() < 0.5 ? "resend" : "hold"),
      openMax: 1 + Math.floor(random.unit() * 6),
      openPerDestinationMax: 1 + Math.floor(random.unit() * 3),
      share: 1,
    },
    machines: random.unit() < 0.3 ? 2 : 1,
    messages: 10 + Math.floor(random.unit() * 50),
    hasPoison: random.unit() < 0.2,
    databaseTrouble: random.unit() < 0.3 ? 0 : random.unit() ** 2 * 0.6,
    crashes: Math.floor(random.unit() * 6),
    strikes: random.unit() < 0.4 ? 0 : random.unit() * 0.04,
  };
}

function laneSettings(priority: LanePriority, unknownPolicy: "resend" | "hold"): LaneSettings {
  return {
    name: priority,
    priority,
    outlets: ["relay"],
    ttlMs: 3_600_000,
    unknownPolicy,
    unknownGraceMs: 2000,
    dispatchers: 1,
    retry: { kind: "list", delaysMs: [500, 1500, 4000] },
    claimAheadMax: 12,
  };
}

const DESTINATIONS = ["one.example", "two.example", "three.example", "four.example", "five.example", "six.example"];

function enqueueAll(world: World, time: VirtualTime, random: Random, plan: Plan): number {
  for (const id of [1, 2]) world.database.runningCampaigns.add(id as CampaignId);
  let enqueued = 0;
  while (enqueued < plan.messages) {
    const count = Math.min(plan.messages - enqueued, 1 + Math.floor(random.unit() * 8));
    const group = Array.from({ length: count }, () => newMessage(random, plan.lane.id));
    enqueued += count;
    const atMs = random.unit() < 0.4 ? 1 : random.unit() * 0.8 * TROUBLE_MS;
    const commitAfterMs = random.unit() < 0.8 ? 2 : random.unit() * 5000;
    time.after(undefined, atMs, () => world.database.enqueue(group, commitAfterMs));
  }
  return enqueued;
}

function newMessage(random: Random, laneId: LaneId): NewMessage {
  const destination = DESTINATIONS[Math.floor(random.unit() ** 2 * DESTINATIONS.length)]!;
  return {
    laneId,
    campaignId: Math.floor(random.unit() * 3) as CampaignId,
    destination,
    recipient: `person@${destination}`,
    ...(random.unit() < 0.1 ? { dueInMs: random.unit() * 8000 } : {}),
    ...(random.unit() < 0.05 ? { expiresInMs: random.unit() * 3000 } : {}),
  };
}

// ---- trouble -------------------------------------------------------------------------------------------------------

function makeTrouble(world: World, time: VirtualTime, random: Random, plan: Plan): void {
  const sometime = (happen: () => void): void => void time.after(undefined, random.unit() * TROUBLE_MS, happen);
  const someSeat = (): Seat => world.seats[Math.floor(random.unit() * world.seats.length)]!;
  for (let n = 0; n < plan.crashes; n++) sometime(() => world.crash(someSeat()));
  if (random.unit() < 0.4) sometime(() => world.reboot(someSeat().machine));
  for (let n = Math.floor(random.unit() * 3); n > 0; n--) {
    sometime(() => world.pause(someSeat(), random.unit() ** 2 * 12_000));
  }
  if (random.unit() < 0.4) sometime(() => world.drain(someSeat()));
  if (random.unit() < 0.3) sometime(() => world.cut(someSeat()));
  for (let n = Math.floor(random.unit() * 6); n > 0; n--) {
    sometime(() => stopForAWhile(random, time, (isOn) => (world.database.isPaused = isOn)));
  }
  if (random.unit() < 0.5) {
    for (let n = Math.floor(random.unit() * plan.messages * 0.3); n > 0; n--) {
      const id = (1 + Math.floor(random.unit() * plan.messages)) as MessageId;
      sometime(() => void world.database.suppressed.add(id));
    }
  }
  if (random.unit() < 0.4) {
    const id = 1 as CampaignId;
    const { runningCampaigns } = world.database;
    sometime(() =>
      stopForAWhile(random, time, (isOn) => void (isOn ? runningCampaigns.delete(id) : runningCampaigns.add(id))),
    );
  }
  if (random.unit() < 0.7) {
    for (let n = 1 + Math.floor(random.unit() * 4); n > 0; n--) {
      const id = (1 + Math.floor(random.unit() * 2)) as CampaignId;
      sometime(() => world.database.edit(id));
    }
  }
}

/** In the middle of its work. Frozen for about as long as a lease lasts, or killed. */
function strike(world: World, random: Random): void {
  const seat = world.seats[Math.floor(random.unit() * world.seats.length)]!;
  const dice = random.unit();
  if (dice < 0.5) world.pause(seat, 1500 + random.unit() * 4000);
  else if (dice < 0.9) world.crash(seat);
  else world.reboot(seat.machine);
}

function stopForAWhile(random: Random, time: VirtualTime, set: (isOn: boolean) => void): void {
  set(true);
  time.after(undefined, random.unit() ** 2 * 3000, () => set(false));
}

function fateOfCall(random: Random, trouble: number, name: string): CallFate {
  const dice = random.unit();
  const kind =
    dice < trouble / 4
      ? "failed_before"
      : dice < trouble / 2
        ? "failed_after"
        : dice < trouble * 0.6
          ? "failed_late"
          : "answered";
  const isSlow = random.unit() < trouble / 20;
  const ms = (): number => 1 + Math.floor(random.unit() * (isSlow ? 4000 : 4));
  // The answer to a settle may come long after its effect, and the rows that it gave back be claimed again by then.
  const isAnswerSlow = name === "settle" && random.unit() < 2 * trouble;
  return { kind, thereMs: ms(), backMs: ms() + (isAnswerSlow ? 400 : 0) };
}

// A mood lasts for a while; within it, some commands of some phases go wrong.
interface Mood {
  readonly phases: readonly ServedPhase[];
  readonly part: number;
  readonly act: (phase: ServedPhase, random: Random) => ServerAct;
}

const reply = (text: string) => (): ServerAct => ({ kind: "reply", afterMs: 2, text });
const TRANSACTION: readonly ServedPhase[] = ["mail", "rcpt", "data", "dot"];
const EVERY: readonly ServedPhase[] = ["connect", "banner", "ehlo", ...TRANSACTION];

const MOODS: readonly Mood[] = [
  { phases: ["connect"], part: 1, act: () => ({ kind: "drop", afterMs: 1, isTaken: false }) },
  { phases: ["rcpt"], part: 0.5, act: reply("450 4.2.1 the mailbox is busy") },
  { phases: ["rcpt"], part: 0.3, act: reply("550 5.1.1 no such user") },
  { phases: ["rcpt"], part: 0.3, act: reply("451 4.7.1 come back later") },
  { phases: ["mail"], part: 0.3, act: reply("452 4.3.1 out of disk") },
  { phases: ["data"], part: 0.3, act: reply("451 4.3.0 not now") },
  { phases: ["dot"], part: 0.4, act: reply("451 4.3.0 could not be written") },
  { phases: ["dot"], part: 0.3, act: reply("554 5.7.1 this looks like spam") },
  { phases: EVERY, part: 0.1, act: () => ({ kind: "close", afterMs: 2, text: "421 4.3.2 going down" }) },
  { phases: EVERY, part: 0.1, act: (_, random) => ({ kind: "drop", afterMs: 2, isTaken: random.unit() < 0.5 }) },
  { phases: ["dot"], part: 0.5, act: (_, random) => ({ kind: "drop", afterMs: 2, isTaken: random.unit() < 0.5 }) },
  { phases: TRANSACTION, part: 0.15, act: (_, random) => ({ kind: "silent", isTaken: random.unit() < 0.5 }) },
  { phases: TRANSACTION, part: 0.5, act: (_, random) => ({ kind: "fine", afterMs: random.unit() * 1400 }) },
  { phases: ["dot"], part: 0.7, act: (_, random) => ({ kind: "fine", afterMs: random.unit() * 7000 }) },
];

function weatherOf(random: Random, time: VirtualTime, isTrouble: () => boolean): (phase: ServedPhase) => ServerAct {
  let mood: Mood | undefined;
  const change = (): void => {
    mood = random.unit() < 0.5 ? undefined : MOODS[Math.floor(random.unit() * MOODS.length)];
    if (isTrouble()) time.after(undefined, 200 + random.unit() * 4000, change);
    else mood = undefined;
  };
  change();
  return (phase) => {
    const isBad = isTrouble() && mood?.phases.includes(phase) === true && random.unit() < mood.part;
    return isBad ? mood!.act(phase, random) : { kind: "fine", afterMs: 1 + Math.floor(random.unit() * 5) };
  };
}

// ---- the end -------------------------------------------------------------------------------------------------------

export const replayHint = (seed: number): string =>
  `seed ${seed}: replay it with POSTLANE_SIMULATION_FROM=${seed} POSTLANE_SIMULATION_SEEDS=1`;

function isAllDone(world: World, messages: number, lane: LaneSettings): boolean {
  const { states, rows } = world.database;
  if (states.size < messages) return false;
  for (const row of rows.values()) {
    if (row.leaseId !== undefined || !mayRest(row.state, lane)) return false;
  }
  return true;
}

const mayRest = (state: string, lane: LaneSettings): boolean =>
  state === "held" || (state === "unknown" && lane.unknownPolicy === "hold");

function checkTheEnd(world: World, messages: number, plan: Plan, isSigned: boolean): void {
  const { states, rows } = world.database;
  mustHold(states.size === messages, `${messages} messages were accepted, and ${states.size} have a state`);
  for (const row of rows.values()) {
    mustHold(row.leaseId === undefined, `message ${row.id} is still claimed at the end`);
    mustHold(mayRest(row.state, plan.lane.settings), `message ${row.id} is still ${row.state} at the end`);
  }
  for (const [id, state] of states) {
    if (state === "held") {
      mustHold(mayBeHeld(id, plan) || (isSigned && cannotBeSigned(id)), `message ${id} is held for nothing`);
    }
    if (state === "suppressed") mustHold(world.database.suppressed.has(id), `message ${id} is suppressed for nothing`);
  }
  world.checkLedger();
}

const mayBeHeld = (id: MessageId, plan: Plan): boolean => id % 23 === 7 || (plan.hasPoison && id === 11);

function reportOf(seed: number, time: VirtualTime, world: World, messages: number): SimulationReport {
  const { events, unknownAttempts } = world.database;
  let hash = 0;
  for (const { messageId, attempt, kind, version } of events) {
    for (const character of `${messageId} ${attempt} ${kind} ${version}`)
      hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0;
  }
  return {
    seed,
    steps: time.steps,
    virtualMs: time.nowMs,
    messages,
    taken: world.relay.ledger.length,
    unknownAttempts: unknownAttempts.size,
    fingerprint: `${time.steps} ${hash}`,
  };
}

/** The dispatcher's own promises are not awaited by anyone: what is thrown in them is thrown from here. */
async function runCapturingRejections(work: () => Promise<void>): Promise<void> {
  let reject: (error: unknown) => void = () => {};
  const rejected = new Promise<never>((_, fail) => (reject = fail));
  const hear = (error: unknown): void => reject(error);
  process.on("unhandledRejection", hear);
  try {
    await Promise.race([work(), rejected]);
  } finally {
    process.off("unhandledRejection", hear);
  }
}
