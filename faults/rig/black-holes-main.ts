// Runs inside a network of its own (`unshare --net`): the real client on real sockets and real time, each phase against a
// relay at an address of its own, whose packets are dropped by nftables from the moment of that phase on. Beside them a
// relay that never reads a large content, one that reads it slowly, one whose replies trickle in, and one that is well and
// whose mail must not wait for any of them. Prints one JSON object.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createSmtpOutlet, type SmtpOutlet } from "../../src/handover/smtp-outlet.ts";
import { DEFAULT_TIMEOUTS, type SmtpTimeouts } from "../../src/handover/smtp-settings.ts";
import { judgeAttempt } from "../../src/outcome/judge-reply.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { seededRandom } from "../../src/platform/random.ts";
import { letter, listDriver, loopbackSockets, type ListDriver } from "../../test/rig/handover-rig.ts";
import { inScope, type Scope } from "../../test/rig/scope.ts";
import type { BlackHoles } from "./black-holes.ts";

type Phase = "connect" | "banner" | "ehlo" | "mail" | "rcpt" | "data" | "dot" | "block";

/** All different, so that none can fire for another's; scaled down from minutes. */
const TIMERS_MS: Readonly<Record<Phase, number>> = {
  connect: 1000,
  banner: 1150,
  ehlo: 1300,
  mail: 1450,
  rcpt: 1600,
  data: 1750,
  block: 1900,
  dot: 2050,
};
const PHASES = Object.keys(TIMERS_MS) as readonly Phase[];
const LATE_SHARE = 0.05;
/** What the machine's other work may cost. */
const SLACK_MS = Number(process.argv[2]);
const LATE_MS = 250 + SLACK_MS;
/** The client waits since it wrote, and the relay says when it read: both share one thread. */
const SEEN_LATE_MS = 50;
/** The well relay's mail, while all others are dead. */
const GAP_MS_MAX = 500 + SLACK_MS;
const PORT = 2525;
const LARGE_BYTES = 32_000_000;
/** What sockets hold at most. Some kernels let a window grow to all of the content, and the dot's timer then runs for it. */
const SOCKET_BYTES_MAX = 1_000_000;
const TRICKLE_MS = 100;
/** Of a large content, what the slow reader takes at once, and how long it then rests: below the timer of a block. */
const SIP_BYTES = 4_000_000;
const REST_MS = 500;

const complaints: string[] = [];
const notes: string[] = [];

async function tryAll(scope: Scope): Promise<BlackHoles> {
  command("ip", "link", "set", "lo", "up");
  // Of this network alone.
  for (const memory of ["tcp_rmem", "tcp_wmem"])
    writeFileSync(`/proc/sys/net/ipv4/${memory}`, `4096 131072 ${SOCKET_BYTES_MAX}\n`);
  command("nft", "add table inet holes; add set inet holes dead { type ipv4_addr; }");
  command("nft", "add chain inet holes out { type filter hook output priority 0; policy accept; }");
  command("nft", "add rule inet holes out ip saddr @dead drop; add rule inet holes out ip daddr @dead drop");
  const well = await startWell(scope);
  // What is large comes by itself: this thread is both ends, and busy with it.
  const small = PHASES.filter((phase) => phase !== "block");
  await Promise.all([
    ...small.map((phase, index) => tryPhase(scope, phase, `127.0.1.${index + 1}`)),
    tryTrickle(scope, "127.0.2.1"),
  ]);
  await Promise.all([tryPhase(scope, "block", "127.0.2.2"), trySlowReader(scope, "127.0.2.3")]);
  const gapMs = well.longestGapMs();
  if (gapMs > GAP_MS_MAX) complaints.push(`the well relay had no mail for ${Math.round(gapMs)} ms`);
  notes.push(`in a network of its own the longest gap of a well relay's mail was ${Math.round(gapMs)} ms`);
  return { complaints, notes };
}

/** `nft` takes its whole command as one argument. */
function command(program: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
}

const dropAllOf = (address: string): void => command("nft", `add element inet holes dead { ${address} }`);

// ---- relays -----------------------------------------------------------------------------------------------------------

interface Relay {
  /** When the client began to wait for what never came. */
  metMs: number | undefined;
  accepted: number;
}

interface RelayWays {
  /** Before it answers this phase. */
  readonly meets: (phase: Phase, socket: Socket) => "answer" | "nothing" | "trickle";
  readonly reads?: (socket: Socket) => void;
}

/** A relay that is well but for its ways; one message at a time, no PIPELINING. */
async function startRelay(scope: Scope, address: string, { meets, reads }: RelayWays): Promise<Relay> {
  const relay: Relay = { metMs: undefined, accepted: 0 };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let [said, isContent] = ["", false];
    const answer = (phase: Phase, text: string): void => {
      const way = meets(phase, socket);
      if (way !== "answer") relay.metMs ??= performance.now();
      if (way === "nothing") return;
      if (way === "trickle") return void trickle(socket, text);
      socket.write(`${text}\r\n`);
    };
    socket.on("data", (bytes: Buffer) => {
      said = isContent ? (said + bytes.toString("latin1")).slice(-16) : said + bytes.toString("latin1");
      if (isContent && said.endsWith("\r\n.\r\n")) {
        [said, isContent] = ["", false];
        relay.accepted++;
        return answer("dot", "250 taken");
      }
      for (let at = said.indexOf("\r\n"); at >= 0 && !isContent; at = said.indexOf("\r\n")) {
        const verb = said.slice(0, 4).toLowerCase();
        said = said.slice(at + 2);
        if (verb === "data") {
          isContent = true;
          answer("data", "354 go on");
          reads?.(socket);
        } else answer((verb === "quit" ? "dot" : verb) as Phase, verb === "quit" ? "221 bye" : "250 fine");
      }
    });
    answer("banner", "220 relay");
  });
  server.listen(PORT, address);
  await once(server, "listening");
  scope.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return relay;
}

async function trickle(socket: Socket, text: string): Promise<void> {
  for (const octet of text.replace(" ", "-").repeat(100)) {
    if (socket.destroyed) return;
    socket.write(octet);
    await sleep(TRICKLE_MS);
  }
}

// ---- the client -------------------------------------------------------------------------------------------------------

interface Client {
  readonly driver: ListDriver;
  readonly outlet: SmtpOutlet;
}

function startClient(scope: Scope, address: string, text?: string): Client {
  const driver = listDriver([letter(1, text === undefined ? {} : { text })]);
  const timeouts = Object.fromEntries(PHASES.map((phase) => [`${phase}Ms`, TIMERS_MS[phase]]));
  const outlet = createSmtpOutlet(
    {
      name: address,
      heloName: "client.example",
      hosts: [{ host: address, port: PORT, weight: 1 }],
      tls: "off",
      timeouts: { ...DEFAULT_TIMEOUTS, ...(timeouts as Partial<SmtpTimeouts>) },
    },
    { ...loopbackSockets, clock: systemClock, random: seededRandom(1), log: silentLog },
    driver,
  );
  scope.after(() => outlet.close());
  outlet.setLimit(1);
  outlet.wake();
  return { driver, outlet };
}

async function outcomeOf({ driver }: Client): Promise<string> {
  const result = (await driver.whenFinished(1)).get("token-1")!;
  const how = result.kind === "failed" ? ` by ${result.code} in ${result.phase}` : "";
  return `${judgeAttempt(result, { outletType: "smtp" }).kind}${how}`;
}

function expect(what: string, seen: string, wanted: string): void {
  if (seen !== wanted) complaints.push(`${what}: the message is ${seen}, and should be ${wanted}`);
}

/** What follows a phase whose packets vanish: nothing that a later timer could fire for. */
async function tryPhase(scope: Scope, phase: Phase, address: string): Promise<void> {
  const relay = await startRelay(scope, address, {
    meets: (now) => {
      if (now !== phase) return "answer";
      relay.metMs ??= performance.now();
      dropAllOf(address);
      return "answer";
    },
    reads: (socket) => void (phase === "block" && socket.pause()),
  });
  if (phase === "connect") dropAllOf(address);
  const beganAtMs = performance.now();
  const seen = await outcomeOf(startClient(scope, address, phase === "block" ? largeText() : undefined));
  const tookMs = performance.now() - (relay.metMs ?? beganAtMs);
  const shown = phase === "block" ? "dot" : phase;
  expect(phase, seen, `${phase === "dot" ? "unknown" : "deferred"} by timeout in ${shown}`);
  const lateMs = tookMs - TIMERS_MS[phase];
  // Some blocks go into the kernel's own memory first, each with its time.
  const allowedMs = Math.max(LATE_MS, TIMERS_MS[phase] * LATE_SHARE) + (phase === "block" ? LATE_MS : 0);
  if (lateMs < -SEEN_LATE_MS || lateMs > allowedMs)
    complaints.push(`${phase}: its timer of ${TIMERS_MS[phase]} ms fired after ${Math.round(tookMs)} ms`);
  else notes.push(`packets dropped at ${phase}: ${Math.max(0, Math.round(lateMs))} ms late`);
}

const largeText = (): string => `Subject: large\r\n\r\n${`${"x".repeat(998)}\r\n`.repeat(LARGE_BYTES / 1000)}`;

async function tryTrickle(scope: Scope, address: string): Promise<void> {
  const relay = await startRelay(scope, address, { meets: (now) => (now === "mail" ? "trickle" : "answer") });
  const seen = await outcomeOf(startClient(scope, address));
  expect("a reply at ten bytes a second", seen, "deferred by timeout in mail");
  const lateMs = performance.now() - relay.metMs! - TIMERS_MS.mail;
  if (lateMs > LATE_MS) complaints.push(`a reply at ten bytes a second: the timer was ${Math.round(lateMs)} ms late`);
}

/** Slow, and well: it takes longer than any timer, and no block takes longer than its own. */
async function trySlowReader(scope: Scope, address: string): Promise<void> {
  const relay = await startRelay(scope, address, {
    meets: () => "answer",
    reads(socket) {
      let sipped = 0;
      socket.on("data", (bytes: Buffer) => {
        sipped += bytes.length;
        if (sipped < SIP_BYTES) return;
        sipped = 0;
        socket.pause();
        setTimeout(() => socket.resume(), REST_MS);
      });
    },
  });
  const beganAtMs = performance.now();
  expect("a content that is read slowly", await outcomeOf(startClient(scope, address, largeText())), "sent");
  const tookMs = performance.now() - beganAtMs;
  if (relay.accepted !== 1) complaints.push(`a content that is read slowly was accepted ${relay.accepted} times`);
  notes.push(`a content of 32 MB that was read slowly went in ${Math.round(tookMs)} ms`);
}

async function startWell(scope: Scope): Promise<{ readonly longestGapMs: () => number }> {
  let lastAtMs: number | undefined;
  let longestMs = 0;
  await startRelay(scope, "127.0.0.1", {
    meets(now) {
      if (now !== "dot") return "answer";
      const nowMs = performance.now();
      if (lastAtMs !== undefined) longestMs = Math.max(longestMs, nowMs - lastAtMs);
      lastAtMs = nowMs;
      return "answer";
    },
  });
  const { driver, outlet } = startClient(scope, "127.0.0.1");
  let isOver = false;
  scope.after(() => void (isOver = true));
  const keepSending = async (): Promise<void> => {
    for (let number = 2; !isOver; number++) {
      driver.add(letter(number));
      outlet.wake();
      await Promise.race([driver.whenFinished(number), sleep(GAP_MS_MAX)]);
    }
  };
  await driver.whenFinished(1);
  void keepSending();
  return { longestGapMs: () => Math.max(longestMs, performance.now() - (lastAtMs ?? 0)) };
}

process.stdout.write(JSON.stringify(await inScope(tryAll)), () => process.exit(0));
