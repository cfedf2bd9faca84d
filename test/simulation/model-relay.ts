// A relay, and the network to it: an SMTP server over simulated connections, which keeps the ledger of what it took.
// In bad weather it refuses, defers, falls silent, closes with 421, or drops the connection before or after a final dot
// (having taken the message, or not). Its replies take time, so that those of different connections come in any order.
//
// It checks what a server can see: no content ahead of its 354, no message under another's envelope, no second copy of
// a message whose first copy was not recorded as unknown.

import { Duplex } from "node:stream";
import type { MessageId } from "../../src/mail/ids.ts";
import type { Phase } from "../../src/mail/reply.ts";
import type { Random } from "../../src/platform/random.ts";
import type { Life, VirtualTime } from "./virtual-clock.ts";
import { mustHold } from "./violation.ts";

export interface Taken {
  readonly messageId: MessageId;
  readonly attempt: number;
  /** Of the campaign's template, as the content says. */
  readonly version: number;
  readonly atMs: number;
}

/** What the server does with one command, or with a content. */
export type ServerAct =
  | { readonly kind: "fine"; readonly afterMs: number }
  | { readonly kind: "reply"; readonly afterMs: number; readonly text: string }
  | { readonly kind: "close"; readonly afterMs: number; readonly text: string }
  /** Closes without a word; a content may have been taken all the same. */
  | { readonly kind: "drop"; readonly afterMs: number; readonly isTaken: boolean }
  | { readonly kind: "silent"; readonly isTaken: boolean };

export type ServedPhase = Exclude<Phase, "starttls" | "auth">;

export interface RelaySettings {
  readonly hasPipelining: boolean;
  readonly act: (phase: ServedPhase) => ServerAct;
  readonly latencyMs: () => number;
  /** Contents taken per second, one after another; absent: as they come. */
  readonly capacityPerS?: number;
  readonly onTaken: (taken: Taken) => void;
}

const FINE: Readonly<Record<ServedPhase, string>> = {
  connect: "",
  banner: "220 relay.example ESMTP",
  ehlo: "250 relay.example",
  mail: "250 2.1.0 Ok",
  rcpt: "250 2.1.5 Ok",
  data: "354 go on",
  dot: "250 2.0.0 Ok: queued",
};

export class ModelRelay {
  readonly ledger: Taken[] = [];
  connectionCount = 0;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #settings: RelaySettings;
  readonly #connections = new Set<ServerConnection>();
  #busyUntilMs = 0;

  constructor(time: VirtualTime, random: Random, settings: RelaySettings) {
    this.#time = time;
    this.#random = random;
    this.#settings = settings;
  }

  connect(life: Life): Duplex {
    const connection = new ServerConnection(life, this.#time, this.#random, this.#settings, this);
    this.#connections.add(connection);
    return connection.client;
  }

  forget(connection: ServerConnection): void {
    this.#connections.delete(connection);
  }

  /** What a killed process has written still arrives; what a machine had not sent when it stopped does not. */
  cutOff(life: Life, isReboot: boolean): void {
    for (const connection of this.#connections) if (connection.life === life) connection.clientDied(isReboot);
  }

  take(taken: Omit<Taken, "atMs">): void {
    const entry = { ...taken, atMs: this.#time.nowMs };
    this.ledger.push(entry);
    this.#settings.onTaken(entry);
  }

  /** When the content that is here now will have been dealt with. */
  queueMs(): number {
    const { capacityPerS } = this.#settings;
    if (capacityPerS === undefined) return 0;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + 1000 / capacityPerS;
    return this.#busyUntilMs - this.#time.nowMs;
  }
}

class ServerConnection {
  readonly client: Duplex;
  readonly life: Life;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #settings: RelaySettings;
  readonly #relay: ModelRelay;
  #state: "closed" | "commands" | "content" = "commands";
  #isBusy = true;
  #input = "";
  #sender: string | undefined;
  #recipient: string | undefined;
  #lastArrivalMs = { there: 0, back: 0 };
  readonly #onTheWay: { readonly there: (() => void)[]; readonly back: (() => void)[] } = { there: [], back: [] };
  #inFlight: { lost: boolean }[] = [];

  constructor(life: Life, time: VirtualTime, random: Random, settings: RelaySettings, relay: ModelRelay) {
    this.life = life;
    this.#time = time;
    this.#random = random;
    this.#settings = settings;
    this.#relay = relay;
    this.client = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        this.#toServer(chunk);
        done();
      },
      destroy: (error, done) => {
        this.#travel("there", () => this.#end());
        done(error);
      },
    });
    relay.connectionCount++;
    this.#decide("connect", (isFine) => {
      if (!isFine) return;
      this.#travel("back", () => this.client.emit("connect"));
      this.#answer("banner");
    });
  }

  clientDied(isReboot: boolean): void {
    if (isReboot) {
      // The order on the wire is kept: from one segment on, nothing arrives.
      const kept = Math.floor(this.#random.unit() * (this.#inFlight.length + 1));
      for (const segment of this.#inFlight.slice(kept)) segment.lost = true;
    }
    this.#travel("there", () => this.#end());
  }

  #end(): void {
    this.#state = "closed";
    this.#relay.forget(this);
  }

  // ---- the network -----------------------------------------------------------------------------------------------

  #toServer(chunk: Buffer): void {
    if (!this.life.isAlive) return;
    const text = chunk.toString("latin1");
    const cut = this.#random.unit() < 0.2 ? Math.floor(this.#random.unit() * text.length) : text.length;
    for (const part of [text.slice(0, cut), text.slice(cut)]) {
      if (part === "") continue;
      const segment = { lost: false };
      this.#inFlight.push(segment);
      this.#travel("there", () => {
        this.#inFlight = this.#inFlight.filter((other) => other !== segment);
        if (!segment.lost) this.#receive(part);
      });
    }
  }

  #toClient(text: string): void {
    const cut = this.#random.unit() < 0.1 ? Math.floor(this.#random.unit() * text.length) : text.length;
    for (const part of [text.slice(0, cut), text.slice(cut)]) {
      if (part === "") continue;
      this.#travel("back", () => {
        if (!this.client.destroyed) this.client.push(Buffer.from(part, "latin1"));
      });
    }
  }

  /** What travels in one direction arrives in its order, however late. What travels back waits for a paused process. */
  #travel(direction: "there" | "back", arrive: () => void): void {
    const atMs = Math.max(this.#lastArrivalMs[direction], this.#time.nowMs + this.#settings.latencyMs());
    this.#lastArrivalMs[direction] = atMs;
    this.#onTheWay[direction].push(arrive);
    const owner = direction === "back" ? this.life : undefined;
    this.#time.after(owner, atMs - this.#time.nowMs, () => this.#onTheWay[direction].shift()!());
  }

  // ---- the server ------------------------------------------------------------------------------------------------

  #receive(text: string): void {
    if (this.#state === "closed") return;
    this.#input += text;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isBusy || this.#state === "closed") return;
    if (this.#state === "content") return this.#takeContent();
    const end = this.#input.indexOf("\r\n");
    if (end < 0) return;
    const line = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 2);
    this.#isBusy = true;
    this.#command(line);
  }

  #command(line: string): void {
    const verb = line.slice(0, 4);
    switch (verb) {
      case "EHLO":
        return this.#answer("ehlo");
      case "MAIL":
        mustHold(this.#sender === undefined, "MAIL came while a transaction was open");
        return this.#answer("mail", () => (this.#sender = /<(.*)>/.exec(line)![1]!));
      case "RCPT":
        if (this.#sender === undefined) return this.#say("503 5.5.1 no MAIL");
        return this.#answer("rcpt", () => (this.#recipient = /<(.*)>/.exec(line)![1]!));
      case "DATA":
        if (this.#recipient === undefined) return this.#say("503 5.5.1 no RCPT");
        return this.#answer("data", () => {
          mustHold(this.#input === "", "something was written behind DATA, ahead of its 354");
          this.#state = "content";
        });
      case "RSET":
        this.#sender = this.#recipient = undefined;
        return this.#say("250 2.0.0 Ok");
      case "QUIT":
        this.#say("221 2.0.0 Bye");
        return this.#end();
      default:
        mustHold(false, `the server was told "${line.slice(0, 80)}"`);
    }
  }

  #takeContent(): void {
    const end = this.#input.startsWith(".\r\n") ? 0 : this.#input.indexOf("\r\n.\r\n") + 2;
    if (end === 1) return;
    const content = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 3);
    this.#isBusy = true;
    this.#state = "commands";
    if (content === "") {
      this.#sender = this.#recipient = undefined;
      return this.#say("554 5.5.0 no content");
    }
    const named = this.#nameOf(content);
    this.#sender = this.#recipient = undefined;
    this.#answer("dot", () => this.#relay.take(named), this.#relay.queueMs());
  }

  #nameOf(content: string): Omit<Taken, "atMs"> {
    const [, id, attempt, recipient, version] =
      /^X-Attempt: (\d+)\.(\d+) for (\S+)\r\nX-Version: (\d+)\r\n/.exec(content) ?? [];
    mustHold(recipient !== undefined, "a content came without its head");
    const isUnderOwnEnvelope = this.#sender === `bounce-${id}.${attempt}@out.example` && this.#recipient === recipient;
    mustHold(isUnderOwnEnvelope, `${id}.${attempt} for ${recipient} came from ${this.#sender} to ${this.#recipient}`);
    return { messageId: Number(id) as MessageId, attempt: Number(attempt), version: Number(version) };
  }

  /** Decides, waits, does and says; then goes on with what has come meanwhile. */
  #answer(phase: ServedPhase, effect: () => void = () => {}, waitMs = 0): void {
    this.#decide(
      phase,
      (isFine) => {
        if (!isFine) return;
        effect();
        this.#say(
          phase === "ehlo" && this.#settings.hasPipelining ? "250-relay.example\r\n250 PIPELINING" : FINE[phase],
        );
      },
      effect,
      waitMs,
    );
  }

  #decide(phase: ServedPhase, then: (isFine: boolean) => void, effect: () => void = () => {}, waitMs = 0): void {
    const act = this.#settings.act(phase);
    if (act.kind === "silent") {
      if (act.isTaken && phase === "dot") effect();
      return;
    }
    this.#time.after(undefined, act.afterMs + waitMs, () => {
      if (this.#state === "closed") return this.#afterTheEnd(phase, effect);
      switch (act.kind) {
        case "fine":
          return then(true);
        case "reply":
          this.#say(act.text);
          return then(false);
        case "close":
          this.#say(act.text);
          return this.#hangUp(false);
        case "drop":
          if (act.isTaken && phase === "dot") effect();
          return this.#hangUp(this.#random.unit() < 0.5);
      }
    });
  }

  /** A server that has read the final dot may take the message whether or not its client is still there. */
  #afterTheEnd(phase: ServedPhase, effect: () => void): void {
    if (phase === "dot" && this.#random.unit() < 0.5) effect();
  }

  #hangUp(isReset: boolean): void {
    this.#end();
    this.#travel("back", () => {
      if (this.client.destroyed) return;
      if (isReset) this.client.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
      else this.client.push(null);
    });
  }

  #say(text: string): void {
    if (text !== "") this.#toClient(`${text}\r\n`);
    this.#isBusy = false;
    this.#goOn();
  }
}
