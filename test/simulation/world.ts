// A small world around the real dispatcher, the real SMTP client and the real journal: a model of the database, a model
// of a relay, and machines whose processes crash, freeze, drain and start again, all in virtual time and from one seed.
// The parts are put together here as src/processes puts them together.
//
// What must never happen throws a Violation as soon as it does (model-queue.ts and model-relay.ts have their share).

import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Composed } from "../../src/dispatcher/compose-message.ts";
import { createDispatcher, type Dispatcher, type DispatcherEnd } from "../../src/dispatcher/dispatcher.ts";
import { openJournal, readJournal, removeJournal, type Journal } from "../../src/dispatcher/journal.ts";
import { SIGNED_MS_MAX } from "../../src/dispatcher/signing-rows.ts";
import type { Outlet, OutletDriver } from "../../src/handover/outlet.ts";
import { createSmtpOutlet } from "../../src/handover/smtp-outlet.ts";
import type { Content, Envelope } from "../../src/mail/envelope.ts";
import type { LaneId, LeaseId, MessageId } from "../../src/mail/ids.ts";
import type { LaneSettings } from "../../src/mail/lane.ts";
import { silentLog, type Log } from "../../src/platform/log.ts";
import type { Random } from "../../src/platform/random.ts";
import type { ClaimedRow } from "../../src/queue/queue-store.ts";
import { ModelDatabase, type CallFate } from "./model-queue.ts";
import { ModelRelay, type RelaySettings, type Taken } from "./model-relay.ts";
import type { Life, VirtualTime } from "./virtual-clock.ts";
import { mustHold } from "./violation.ts";

/** A bug that the canary plants. */
export type PlantedBug =
  | "journal_without_dots"
  | "settle_without_lease"
  | "dispatcher_without_deadline"
  | "suppression_not_asked"
  | "version_lost_by_rescue";

export interface LaneOfWorld {
  readonly id: LaneId;
  readonly settings: LaneSettings;
  readonly openMax: number;
  readonly openPerDestinationMax: number;
  readonly share: number;
}

export interface WorldSettings {
  readonly lanes: readonly LaneOfWorld[];
  readonly leaseMs: number;
  readonly rescueGraceMs: number;
  readonly clockSkewMs: number;
  readonly fateOfCall: (name: string) => CallFate;
  readonly relay: Omit<RelaySettings, "onTaken">;
  /** What merging this message does, beside its content. */
  readonly composeFateOf: (messageId: MessageId) => "fine" | "throws" | "kills";
  readonly contentBytesOf: (messageId: MessageId) => number;
  /** Absent: nothing is signed. */
  readonly signing?: SigningOfWorld | undefined;
  readonly bug?: PlantedBug | undefined;
  readonly log?: Log;
}

export interface SigningOfWorld {
  /** What the dispatcher is told before the message is composed; it need not be what comes of it. */
  readonly isSaidSigned: (messageId: MessageId) => boolean;
  readonly fateOf: (messageId: MessageId) => "unsigned" | "signed" | "fails";
  readonly ms: () => number;
}

/** A dispatcher's place: one lane on one machine. */
export interface Seat {
  readonly lane: LaneOfWorld;
  readonly machine: Machine;
  life: Life | undefined;
  dispatcher: Dispatcher | undefined;
  journal: { readonly file: string; readonly journal: Journal } | undefined;
}

export interface Machine {
  readonly journalDir: string;
  bootId: string;
}

const RESTART_MS = 300;

export class World {
  readonly database: ModelDatabase;
  readonly relay: ModelRelay;
  readonly seats: Seat[] = [];
  /** Message → when the relay first took it, in milliseconds after it was due. */
  readonly waitedMs = new Map<MessageId, number>();
  readonly #settings: WorldSettings;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #folder: string;
  readonly #lives = new Map<number, Life>();
  readonly #front: Life;
  readonly #taken = new Map<MessageId, Taken[]>();
  #boots = 0;

  constructor(time: VirtualTime, random: Random, settings: WorldSettings) {
    this.#settings = settings;
    this.#time = time;
    this.#random = random;
    this.#folder = mkdtempSync(path.join(os.tmpdir(), "postlane-simulation-"));
    this.database = new ModelDatabase(time, random, {
      lanes: new Map(settings.lanes.map((lane) => [lane.id, lane.settings])),
      leaseMs: settings.leaseMs,
      fateOfCall: settings.fateOfCall,
      clockSkewMs: settings.clockSkewMs,
      settlesWithoutLease: settings.bug === "settle_without_lease",
      forgetsSuppressed: settings.bug === "suppression_not_asked",
      rescueForgetsVersion: settings.bug === "version_lost_by_rescue",
    });
    this.relay = new ModelRelay(time, random, { ...settings.relay, onTaken: (taken) => this.#checkTaken(taken) });
    this.#front = time.beginLife("front");
    void this.#rescueOverdue();
  }

  addMachine(): Machine {
    const journalDir = path.join(this.#folder, `machine-${readdirSync(this.#folder).length}`);
    mkdirSync(journalDir);
    return { journalDir, bootId: this.#newBootId() };
  }

  addSeat(lane: LaneOfWorld, machine: Machine): Seat {
    const seat: Seat = { lane, machine, life: undefined, dispatcher: undefined, journal: undefined };
    this.seats.push(seat);
    this.#start(seat, 1);
    return seat;
  }

  close(): void {
    for (const seat of this.seats) seat.journal?.journal.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  // ---- what happens to processes ---------------------------------------------------------------------------------

  crash(seat: Seat): void {
    if (seat.life?.isAlive !== true) return;
    const file = seat.journal?.file;
    this.#end(seat, false);
    if (file !== undefined && this.#random.unit() < 0.2) tearLastLine(file, this.#random);
    this.#start(seat, RESTART_MS);
  }

  /** All processes of the machine, and whatever its page cache had not written. */
  reboot(machine: Machine): void {
    for (const seat of this.seats) {
      if (seat.machine !== machine || seat.life?.isAlive !== true) continue;
      this.#end(seat, true);
      this.#start(seat, 5 * RESTART_MS);
    }
    loseTails(machine.journalDir, this.#random);
    machine.bootId = this.#newBootId();
  }

  pause(seat: Seat, ms: number): void {
    if (seat.life !== undefined) seat.life.pausedUntilMs = this.#time.nowMs + Math.ceil(ms);
  }

  drain(seat: Seat): void {
    seat.dispatcher?.drain();
  }

  /** Its connections are cut, as when draining takes too long. */
  cut(seat: Seat): void {
    seat.dispatcher?.cut();
  }

  #end(seat: Seat, isReboot: boolean): void {
    this.#time.endLife(seat.life!);
    this.relay.cutOff(seat.life!, isReboot);
    seat.journal?.journal.close();
    seat.journal = undefined;
    seat.dispatcher = undefined;
  }

  #newBootId(): string {
    return `boot-${++this.#boots}`;
  }

  #start(seat: Seat, afterMs: number): void {
    this.#time.after(undefined, afterMs, () => {
      if (seat.life?.isAlive === true) return;
      const life = this.#time.beginLife(`${seat.lane.settings.name} ${seat.machine.bootId}`);
      this.#lives.set(life.number, life);
      seat.life = life;
      void this.#live(seat, life);
    });
  }

  // ---- a dispatcher's process, as src/processes/dispatcher-process.ts --------------------------------------------

  async #live(seat: Seat, life: Life): Promise<void> {
    const clock = this.#time.clockOf(life);
    await this.#rescueByJournals(seat.machine, life);
    const leaseAskedAtMs = clock.monotonicMs();
    const leaseId = await this.#untilDone(life, () => this.database.acquireLease(life, seat.lane.id));
    const journal = this.#openJournal(seat, life, leaseId);
    const dispatcher = this.#createDispatcher(seat, life, { leaseId, leaseAskedAtMs, journal });
    seat.dispatcher = dispatcher;
    const end = await dispatcher.run();
    await this.#finish(life, leaseId, journal, end);
    this.#end(seat, false);
    this.#start(seat, RESTART_MS);
  }

  #openJournal(seat: Seat, life: Life, leaseId: LeaseId): Journal {
    const { machine, lane } = seat;
    const file = path.join(machine.journalDir, `${lane.settings.name}-${leaseId}.journal`);
    const head = {
      bootId: machine.bootId,
      leaseId,
      laneId: lane.id,
      pid: life.number,
      processStart: String(life.number),
    };
    // Small, so that it starts again often.
    const journal = openJournal(file, head, 2000);
    seat.journal = { file, journal };
    const isBuggy = this.#settings.bug === "journal_without_dots";
    return {
      composing: (attempt) => void (life.isAlive && journal.composing(attempt)),
      dots: (attempts) => void (life.isAlive && !isBuggy && journal.dots(attempts)),
      answer: (attempt, answer) => void (life.isAlive && journal.answer(attempt, answer)),
      flush: () => void (life.isAlive && journal.flush()),
      settled: (messageId) => void (life.isAlive && journal.settled(messageId)),
      close: () => {
        seat.journal = undefined;
        journal.close();
      },
      remove: () => journal.remove(),
    };
  }

  #createDispatcher(
    seat: Seat,
    life: Life,
    given: { readonly leaseId: LeaseId; readonly leaseAskedAtMs: number; readonly journal: Journal },
  ): Dispatcher {
    const { lane } = seat;
    const { leaseId, leaseAskedAtMs, journal } = given;
    const { leaseMs, bug, log = silentLog } = this.#settings;
    const { openMax, openPerDestinationMax, share } = lane;
    return createDispatcher(
      {
        lane: lane.settings,
        leaseId,
        leaseMs: bug === "dispatcher_without_deadline" ? 1000 * leaseMs : leaseMs,
        leaseAskedAtMs,
        outlets: [
          { name: "relay", route: "main", openMax, openPerDestinationMax, share, isVerp: false, isToldOf: false },
        ],
        // The model's relay refuses at random: all of it may be policy.
        maxRefusals: 1,
      },
      {
        queue: this.database.laneQueueOf(life, lane.id, leaseId),
        journal,
        openOutlet: (name, driver) => this.#openOutlet(seat, life, leaseId, name, driver),
        compose: (row) => this.#compose(seat, life, row),
        isSigned: ({ message_id }) => this.#settings.signing?.isSaidSigned(message_id) === true,
        returnPath: () => "",
        onAlarm: () => {},
        clock: this.#time.clockOf(life),
        random: this.#random,
        log: boundLog(log, life, this.#time),
      },
    );
  }

  // The driver and the outlet are looked at from both sides: what is taken must fit the window, and no final dot may be
  // permitted under a lease that is over.
  #openOutlet(seat: Seat, life: Life, leaseId: LeaseId, name: string, driver: OutletDriver): Outlet {
    const open = new Map<string, string>();
    const windowMax = Math.max(1, Math.floor(seat.lane.openMax * seat.lane.share));
    let limit = 0;
    const watched: OutletDriver = {
      take: () => {
        const handOver = driver.take();
        if (handOver === undefined) return undefined;
        const destination = handOver.envelope.recipient.split("@")[1]!;
        const sameCount = [...open.values()].filter((other) => other === destination).length;
        mustHold(open.size < limit && open.size < windowMax, `${open.size} open hand-overs, and one more was taken`);
        mustHold(
          sameCount < seat.lane.openPerDestinationMax,
          `${sameCount} are open to ${destination}, and one more was taken`,
        );
        mustHold(this.database.isLeaseLive(leaseId) || !life.isAlive, `an attempt was started after lease ${leaseId}`);
        const composedAtMs = Number(/^X-Composed: (\d+)/m.exec(handOver.content.text)?.[1]);
        mustHold(this.#time.nowMs - composedAtMs <= SIGNED_MS_MAX, `${handOver.token} goes out with an old date`);
        mustHold(!open.has(handOver.token), `${handOver.token} was taken twice`);
        open.set(handOver.token, destination);
        return handOver;
      },
      permitDots: (tokens) => {
        const arePermitted = driver.permitDots(tokens);
        const isLeaseLive = this.database.isLeaseLive(leaseId);
        mustHold(!arePermitted || isLeaseLive || !life.isAlive, `a final dot was permitted after lease ${leaseId}`);
        return arePermitted;
      },
      finished: (token, result) => {
        mustHold(open.delete(token), `${token} was finished and was not open`);
        driver.finished(token, result);
      },
    };
    const outlet = createSmtpOutlet(
      {
        name,
        hosts: [{ host: "relay.example", port: 25, weight: 1 }],
        heloName: "out.example",
        tls: "off",
        connectionsMax: seat.lane.openMax,
        messagesPerConnectionMax: 20,
        timeouts: SHORT_TIMEOUTS,
      },
      {
        clock: this.#time.clockOf(life),
        random: this.#random,
        log: boundLog(this.#settings.log ?? silentLog, life, this.#time),
        connect: () => this.relay.connect(life),
        startTls: () => {
          throw new Error("no TLS in this world");
        },
      },
      watched,
    );
    return {
      name: outlet.name,
      setLimit: (openMax) => {
        mustHold(openMax <= windowMax, `a window of ${openMax} was given where ${windowMax} is this lane's part`);
        limit = openMax;
        outlet.setLimit(openMax);
      },
      wake: () => outlet.wake(),
      drain: () => outlet.drain(),
      close: () => outlet.close(),
    };
  }

  #compose(seat: Seat, life: Life, row: ClaimedRow): Composed {
    const { composeFateOf, contentBytesOf } = this.#settings;
    switch (composeFateOf(row.message_id)) {
      case "throws":
        throw new Error("the template wants a column that this row has not");
      case "kills":
        this.crash(seat);
        throw new Error("killed");
      case "fine": {
        const attempt = `${row.message_id}.${row.attempts + 1}`;
        const filling = ".fill".repeat(contentBytesOf(row.message_id) / 5);
        const head = [
          `X-Attempt: ${attempt} for ${row.recipient}`,
          `X-Version: ${row.content_id}`,
          `X-Composed: ${this.#time.nowMs}`,
        ];
        const content = { text: `${head.join("\r\n")}\r\n\r\n.${filling}\r\n`, isAscii: true };
        return this.#signed(life, row, { sender: `bounce-${attempt}@out.example`, recipient: row.recipient }, content);
      }
    }
  }

  #signed(life: Life, row: ClaimedRow, envelope: Envelope, content: Content): Composed {
    const { signing } = this.#settings;
    const fate = signing?.fateOf(row.message_id) ?? "unsigned";
    if (signing === undefined || fate === "unsigned") return { envelope, content };
    const signature = new Promise<Content>((resolve, reject) => {
      this.#time.after(life, signing.ms(), () => {
        if (fate === "signed") resolve(content);
        else reject(new Error("the key cannot sign"));
      });
    });
    return { envelope, content: signature, octets: content.text.length };
  }

  async #finish(life: Life, leaseId: LeaseId, journal: Journal, end: DispatcherEnd): Promise<void> {
    journal.flush();
    journal.close();
    if (end.kind === "drained") {
      await this.#untilDone(life, () => this.database.endLease(life, leaseId));
      journal.remove();
      return;
    }
    const late = end.late.flatMap(({ row, attempt, event }) => {
      if (event === undefined || (event.kind !== "sent" && event.kind !== "bounced")) return [];
      const answer = { kind: event.kind, outlet: "", host: "", reply: "", isOwnFault: true } as const;
      return [{ messageId: row.message_id, attempt, answer }];
    });
    await this.#untilDone(life, () => this.database.settleLate(life, late));
  }

  // ---- rescue, as src/dispatcher/rescue.ts -----------------------------------------------------------------------

  async #rescueByJournals(machine: Machine, life: Life): Promise<void> {
    for (const name of readdirSync(machine.journalDir)) {
      if (!name.endsWith(".journal")) continue;
      const file = path.join(machine.journalDir, name);
      const evidence = readJournal(file);
      if (evidence !== undefined && this.#lives.get(evidence.head.pid)?.isAlive === true) continue;
      if (evidence !== undefined) {
        const { leaseId } = evidence.head;
        const isRescued = await this.#untilDone(life, () =>
          this.database.rescueLease(life, leaseId, evidence, machine.bootId),
        );
        if (!isRescued) await this.#untilDone(life, () => this.database.settleLate(life, evidence.answered));
      }
      removeJournal(file);
    }
  }

  async #rescueOverdue(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => void this.#time.after(this.#front, 500, resolve));
      for (const leaseId of this.database.overdueLeases(this.#settings.rescueGraceMs)) {
        await this.#untilDone(this.#front, () => this.database.rescueLease(this.#front, leaseId, undefined, "none"));
      }
    }
  }

  async #untilDone<T>(life: Life, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch {
        await new Promise<void>((resolve) => void this.#time.after(life, 100, resolve));
      }
    }
  }

  // ---- the ledger ------------------------------------------------------------------------------------------------

  #checkTaken(taken: Taken): void {
    const { messageId, attempt, version } = taken;
    const isForbidden = this.database.forbiddenAttempts.has(`${messageId} ${attempt}`);
    mustHold(!isForbidden, `message ${messageId} was claimed when its recipient was suppressed, and was handed over`);
    const claimed = this.database.claimedVersions.get(`${messageId} ${attempt}`);
    mustHold(
      version === claimed,
      `attempt ${attempt} of message ${messageId} carries version ${version}, and was claimed with ${claimed}`,
    );
    const earlier = this.#taken.get(messageId) ?? [];
    for (const other of earlier) {
      // The relay may be later with the earlier one.
      const first = Math.min(attempt, other.attempt);
      const isKnownUnknown = this.database.unknownAttempts.has(`${messageId} ${first}`);
      mustHold(other.attempt !== attempt, `attempt ${attempt} of message ${messageId} was taken twice`);
      mustHold(isKnownUnknown, `message ${messageId} was taken twice, and attempt ${first} was never unknown`);
    }
    this.#taken.set(messageId, [...earlier, taken]);
    const row = this.database.rows.get(messageId);
    if (earlier.length === 0 && row?.attempts === 0) {
      this.waitedMs.set(messageId, this.database.nowMs() - row.dueUs / 1000);
    }
  }

  /** What is told of each message is what the relay knows of it. */
  checkLedger(): void {
    for (const { messageId, attempt, kind, version } of this.database.events) {
      const claimed = this.database.claimedVersions.get(`${messageId} ${attempt}`);
      mustHold(
        !TOLD_OF_AN_ATTEMPT.has(kind) || (version ?? 1) === claimed,
        `attempt ${attempt} of message ${messageId} is told ${kind} with version ${version}, and was claimed with ${claimed}`,
      );
      const isTaken = this.#taken.get(messageId)?.some((taken) => taken.attempt === attempt) === true;
      if (kind === "sent")
        mustHold(isTaken, `message ${messageId} is sent by attempt ${attempt}, and the relay never had it`);
      if (kind === "bounced" || kind === "deferred") {
        mustHold(!isTaken, `attempt ${attempt} of message ${messageId} is ${kind}, and the relay has it`);
      }
    }
  }
}

const TOLD_OF_AN_ATTEMPT = new Set(["sent", "bounced", "deferred", "unknown"]);

/** So short that what takes long in life takes seconds here. */
const SHORT_TIMEOUTS = {
  connectMs: 1000,
  bannerMs: 1500,
  ehloMs: 1500,
  mailMs: 1500,
  rcptMs: 1500,
  dataMs: 1500,
  blockMs: 1500,
  dotMs: 6000,
  rsetMs: 1000,
  quitMs: 500,
};

/** A process was killed in the middle of a write: of the last line, something is missing. */
function tearLastLine(file: string, random: Random): void {
  const text = readFileSync(file, "latin1");
  const lastLine = text.length - (text.lastIndexOf("\n", text.length - 2) + 1);
  if (lastLine > 1 && lastLine < text.length)
    truncateSync(file, text.length - 1 - Math.floor(random.unit() * (lastLine - 1)));
}

/** The machine stopped: what its page cache held of its files is lost from some point on. */
function loseTails(journalDir: string, random: Random): void {
  for (const name of readdirSync(journalDir)) {
    const file = path.join(journalDir, name);
    truncateSync(file, Math.floor(random.unit() * (readFileSync(file).length + 1)));
  }
}

function boundLog(log: Log, life: Life, time: VirtualTime): Log {
  if (log === silentLog) return log;
  const bind = (level: keyof Log) => (event: string, fields?: Readonly<Record<string, unknown>>) =>
    log[level](event, { ms: time.nowMs, by: `${life.number} ${life.name}`, ...fields });
  return { debug: bind("debug"), info: bind("info"), warn: bind("warn"), error: bind("error") };
}
