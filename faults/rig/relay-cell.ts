// Runs one cell of the relay matrix (relay-matrix.ts) against the real SMTP client and the real judge: a scripted relay on
// a socket of the loopback behaves as the cell says, once, and well from then on. The client's time is moved by hand, so
// nine minutes take none. What is seen: what became of the message, whether the next one went by the same connection, and
// whatever the relay has to complain about.

import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_TIMEOUTS, type SmtpOutletSettings } from "../../src/handover/smtp-settings.ts";
import type { AttemptResult } from "../../src/mail/attempt.ts";
import type { Outcome } from "../../src/mail/outcome.ts";
import { judgeAttempt } from "../../src/outcome/judge-reply.ts";
import { letter, startOutlet, type OutletRig } from "../../test/rig/handover-rig.ts";
import { inScope } from "../../test/rig/scope.ts";
import {
  DROP,
  replyAndReset,
  SILENCE,
  SINK_EXTENSIONS,
  sinkCertificate,
  startScriptedSink,
  type ScriptedSink,
  type SinkAnswer,
  type SinkCommand,
  type SinkScript,
  type SinkVerb,
} from "../../test/rig/scripted-sink.ts";
import { DEEDS, MATRIX, type Behaviour, type Cell, type Deed, type PhaseName } from "./relay-matrix.ts";

/**
 * `alone`: pipelined, one message at a time; `plain`: the relay offers no PIPELINING; `riding`: the next envelope rides
 * behind each final dot.
 */
export type Dialogue = "alone" | "plain" | "riding";

export interface CellSeen {
  readonly result: string;
  readonly connection: string;
  readonly complaints: readonly string[];
}

const CELL_MS_MAX = 20_000;
const LOOK_MS = 1;
/** Turns of the event loop in which what is on the loopback has arrived: both ends are in this process. */
const SETTLING_TURNS = 20;
const NINE_MINUTES_MS = 540_000;
const LONG_LINE_BYTES = 65_536;
const LONG_REPLY_LINES = 101;

async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLING_TURNS; turn++) await nextTurn();
}

/** An opening has no dialogue yet, and of the deed that needs PIPELINING there is none without. */
export function dialoguesOf({ phase, behaviour }: Cell): readonly Dialogue[] {
  if (behaviour === "refuses, and goes on as if not") return ["alone"];
  if (phase === "rcpt" || phase === "data" || phase === "dot" || phase === "mail") return ["alone", "plain", "riding"];
  return phase === "rset" || phase === "mail, not the connection's first" ? ["alone", "plain"] : ["alone"];
}

export async function runCell(cell: Cell, dialogue: Dialogue): Promise<CellSeen> {
  return await inScope(async (scope) => {
    const relay = createMisbehaviour();
    const sink = await startScriptedSink(scope, scriptFor(cell, dialogue, relay));
    const rig = startOutlet(scope, [sink.port], lettersBefore(cell, dialogue), settingsFor(cell, dialogue));
    const deadline = performance.now() + CELL_MS_MAX;
    const until = async (what: string, look: () => boolean): Promise<void> => {
      for (; !look(); await sleep(LOOK_MS))
        if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    };
    const complaints: string[] = [];
    const untilMet = async (): Promise<void> => {
      await until("the relay is asked", () => relay.met !== undefined);
      await passTime(cell, rig, relay, complaints);
    };
    if (cell.phase !== "quit") await untilMet();
    await until("the message ends", () => rig.driver.results.has(TOKEN));
    const outcome = judge(rig.driver.results.get(TOKEN)!);
    // A reset behind the reply arrives before the next message: which of them is seen first is not the cell's question.
    await settle();
    const isNextSent = createNext(rig, dialogue, complaints);
    if (cell.phase === "quit") await untilMet();
    await until("the next one is sent", () => {
      openHostAgain(rig);
      return isNextSent();
    });
    complaints.push(...sink.breaches, ...wrongEnvelopes(sink), ...wrongReceptions(sink, outcome));
    const nextBy = sink.accepted.at(-1)?.connection;
    return {
      result: print(outcome),
      connection: nextBy === relay.met?.connection ? "goes on" : "ends",
      complaints,
    };
  });
}

// ---- the relay --------------------------------------------------------------------------------------------------------

interface Misbehaviour {
  /** The command that it answered badly. */
  met: SinkCommand | undefined;
  /** What it answered afterwards as if it had not. */
  readonly toldOtherwise: Set<SinkVerb>;
  /** Lets a late reply go. */
  release: () => void;
}

const createMisbehaviour = (): Misbehaviour => ({ met: undefined, toldOtherwise: new Set(), release: () => {} });

const VERBS: Readonly<Record<PhaseName, SinkVerb>> = {
  banner: "BANNER",
  ehlo: "EHLO",
  "starttls, opportunistic": "STARTTLS",
  "starttls, required": "STARTTLS",
  auth: "AUTH",
  mail: "MAIL",
  "mail, not the connection's first": "MAIL",
  rcpt: "RCPT",
  data: "DATA",
  dot: "DOT",
  rset: "RSET",
  quit: "QUIT",
};

function scriptFor(cell: Cell, dialogue: Dialogue, relay: Misbehaviour): SinkScript {
  const { phase, behaviour } = cell;
  const extensions = SINK_EXTENSIONS.filter((word) => dialogue !== "plain" || word !== "PIPELINING");
  const nth = phase === "mail, not the connection's first" ? 2 : 1;
  return {
    extensions,
    isByteByByte: behaviour === "good, octet by octet",
    ...(phase.startsWith("starttls") ? { tls: "starttls" } : {}),
    ...(phase === "auth" ? { users: { [USER]: PASSWORD } } : {}),
    answer(command) {
      if (command.recipient === REFUSED && command.verb === "RCPT") return "550 5.1.1 nobody here";
      if (behaviour === "refuses, and goes on as if not" && relay.met?.connection === command.connection)
        return yesAllTheSame(command, relay);
      if (command.verb !== VERBS[phase] || command.nth !== nth) return undefined;
      relay.met = command;
      return answerFor(cell, extensions, relay);
    },
  };
}

function answerFor(
  { phase, behaviour }: Cell,
  extensions: readonly string[],
  relay: Misbehaviour,
): SinkAnswer | Promise<SinkAnswer> {
  const good = goodReply(phase, extensions);
  if (!isDeed(behaviour)) return `${behaviour} said the relay`;
  switch (behaviour) {
    case "good, octet by octet":
      return good;
    case "good, in three lines":
      return inLines(good, ["one", "two", "three"]);
    case "good, in a line of 64 KB":
      return inLines(good, ["x".repeat(LONG_LINE_BYTES)]);
    case "good, twice":
      return `${good}\r\n${good}`;
    case "good, then a reset":
      // Right behind a 354 it would be a race: whether the client sees it before it writes depends on the event loop.
      return replyAndReset(good, phase === "data" ? "at more" : "at once");
    case "good, in the timer's last second":
    case "good, after 9 minutes":
      return new Promise((resolve) => (relay.release = () => resolve(good)));
    case "550 in a line of 64 KB":
      return `550 ${"x".repeat(LONG_LINE_BYTES)}`;
    case "no reply":
      return SILENCE;
    case "closes":
      return DROP;
    case "a line that is not SMTP":
      return "hello there";
    case "a line that ends in a bare LF":
      return `${good}\n`;
    case "two codes in one reply":
      return `${good.slice(0, 3)}-yes\r\n550 no`;
    case "a reply of 101 lines":
      return inLines(
        good,
        Array.from({ length: LONG_REPLY_LINES }, (_, line) => `line ${line}`),
      );
    case "refuses, and goes on as if not":
      return "550 no";
  }
}

function isDeed(behaviour: Behaviour): behaviour is Deed {
  return (DEEDS as readonly Behaviour[]).includes(behaviour);
}

/** The commands behind the refused one are answered as if it had been taken. */
function yesAllTheSame({ verb }: SinkCommand, { toldOtherwise }: Misbehaviour): SinkAnswer | undefined {
  if ((verb !== "RCPT" && verb !== "DATA") || toldOtherwise.has(verb)) return undefined;
  toldOtherwise.add(verb);
  return verb === "RCPT" ? "250 2.1.5 ok" : "354 go on";
}

function goodReply(phase: PhaseName, extensions: readonly string[]): string {
  const { good } = MATRIX.find(({ name }) => name === phase)!;
  if (phase !== "ehlo") return `${good} fine`;
  const lines = ["sink.example", ...extensions];
  return lines.map((text, line) => `250${line === lines.length - 1 ? " " : "-"}${text}`).join("\r\n");
}

/** These lines, ahead of those that the reply has. */
function inLines(good: string, texts: readonly string[]): string {
  const code = good.slice(0, 3);
  return [...texts.map((text) => `${code}-${text}`), good].join("\r\n");
}

// ---- the client -------------------------------------------------------------------------------------------------------

const USER = "shop";
const PASSWORD = "secret";
const REFUSED = "refused@example.net";
const TOKEN = "token-1";

function settingsFor({ phase }: Cell, dialogue: Dialogue): Partial<SmtpOutletSettings> & { readonly limit: number } {
  return {
    limit: dialogue === "riding" ? 2 : 1,
    connectionsMax: dialogue === "riding" ? 1 : 2,
    // Minutes pass, and a connection is not given up for its age.
    connectionAgeMsMax: Infinity,
    ...(phase === "starttls, opportunistic" ? { tls: "opportunistic" } : {}),
    ...(phase === "starttls, required" ? { tls: "required", ca: sinkCertificate } : {}),
    ...(phase === "auth" ? { auth: { user: USER, password: PASSWORD } } : {}),
    ...(phase === "quit" ? { messagesPerConnectionMax: 1 } : {}),
  };
}

/** The message of the cell is letter 1. */
function lettersBefore({ phase }: Cell, dialogue: Dialogue) {
  if (phase === "rset") return [letter(0, { recipient: REFUSED }), letter(1)];
  if (phase === "mail, not the connection's first") return [letter(0), letter(1)];
  return dialogue === "riding" ? [letter(1), letter(2)] : [letter(1)];
}

/** What a real clock would do while nobody looks: a host that was set aside gets its next chance. */
function openHostAgain({ outlet, clock }: OutletRig): void {
  const setAsideMs = outlet.stats().hosts[0]!.setAsideMs;
  if (setAsideMs > 0) clock.advance(setAsideMs);
}

async function passTime(
  { phase, behaviour }: Cell,
  rig: OutletRig,
  relay: Misbehaviour,
  complaints: string[],
): Promise<void> {
  if (!isAboutTime(behaviour)) return;
  await settle();
  const timerMs = timerOf(phase);
  const untilMs = behaviour === "good, after 9 minutes" ? Math.min(NINE_MINUTES_MS, timerMs) : timerMs;
  const restMs = untilMs === timerMs ? 1000 : 0;
  rig.clock.advance(untilMs - restMs);
  if (phase !== "quit" && rig.driver.results.has(TOKEN))
    complaints.push(`the timer of ${timerMs} ms had fired after ${untilMs - restMs} ms`);
  if (behaviour === "good, in the timer's last second") return relay.release();
  rig.clock.advance(restMs);
  relay.release();
}

const isAboutTime = (behaviour: Behaviour): boolean =>
  behaviour === "no reply" || behaviour === "good, in the timer's last second" || behaviour === "good, after 9 minutes";

function timerOf(phase: PhaseName): number {
  switch (phase) {
    case "banner":
      return DEFAULT_TIMEOUTS.bannerMs;
    case "ehlo":
      return DEFAULT_TIMEOUTS.ehloMs;
    case "starttls, opportunistic":
    case "starttls, required":
      return DEFAULT_TIMEOUTS.starttlsMs;
    case "auth":
      return DEFAULT_TIMEOUTS.authMs;
    case "mail":
    case "mail, not the connection's first":
      return DEFAULT_TIMEOUTS.mailMs;
    case "rcpt":
      return DEFAULT_TIMEOUTS.rcptMs;
    case "data":
      return DEFAULT_TIMEOUTS.dataMs;
    case "dot":
      return DEFAULT_TIMEOUTS.dotMs;
    case "rset":
      return DEFAULT_TIMEOUTS.rsetMs;
    case "quit":
      return DEFAULT_TIMEOUTS.quitMs;
  }
}

/**
 * Offers a next message, and is true when one is sent. One that rode behind the dot may have shared the end of the
 * connection: then another is offered.
 */
function createNext({ driver, outlet }: OutletRig, dialogue: Dialogue, complaints: string[]): () => boolean {
  let number = 2;
  const offer = (): void => {
    driver.add(letter(number));
    outlet.wake();
  };
  if (dialogue !== "riding") offer();
  return () => {
    const result = driver.results.get(`token-${number}`);
    if (result === undefined) return false;
    const outcome = judge(result);
    if (outcome.kind === "sent") return true;
    if (dialogue === "riding" && number === 2 && outcome.kind !== "bounced") {
      number++;
      offer();
      return false;
    }
    complaints.push(`the next message is ${print(outcome)}`);
    return true;
  };
}

// ---- what is seen -----------------------------------------------------------------------------------------------------

const judge = (result: AttemptResult): Outcome => judgeAttempt(result, { outletType: "smtp" });

const print = (outcome: Outcome): string => ("scope" in outcome ? `${outcome.kind}: ${outcome.scope}` : outcome.kind);

/** Each message goes under its own envelope, whatever was refused before it. */
function wrongEnvelopes({ messages }: ScriptedSink): readonly string[] {
  return messages.flatMap(({ sender, recipients, content }) => {
    const [, number] = /^Subject: letter (\d+)/.exec(content.toString("latin1")) ?? [];
    const isRight = sender === `bounce-${number}@example.org` && recipients.join() === `person-${number}@example.net`;
    return isRight ? [] : [`letter ${number} went from ${sender} to ${recipients.join()}`];
  });
}

function wrongReceptions({ accepted, messages }: ScriptedSink, { kind }: Outcome): readonly string[] {
  const times = (all: readonly { readonly sender: string }[]): number =>
    all.filter(({ sender }) => sender === "bounce-1@example.org").length;
  if (kind === "sent" && times(accepted) !== 1) return [`it is sent, and was accepted ${times(accepted)} times`];
  if (kind !== "sent" && kind !== "unknown" && times(accepted) > 0) return [`it is ${kind}, and the relay has it`];
  return times(messages) > 1 ? [`its content came ${times(messages)} times`] : [];
}
