// The world behind a relay, for `plug`: one loopback address for each destination, so that the relay sees as many
// destinations as there are. The living ones take everything; of the dead ones a third refuses connections, a third
// accepts them and stays silent, and a third answers 451. In a process of its own, which counts what the living took and
// notes when single messages came. This file is both the parent's side and, started as a program, the child.

import net from "node:net";
import type { Scope } from "../test/rig/scope.ts";
import { forkChild } from "./forked-child.ts";
import { createSinkSession, SINK_GREETING } from "./sink-session.ts";

export interface PlugHosts {
  /** For the relays: recipient domain → where it is taken, or not. */
  readonly routes: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  readonly liveDomains: readonly string[];
  readonly deadDomains: readonly string[];
  look(): Promise<Look>;
}

export interface Look {
  /** Messages that the living took, single ones left out. */
  readonly live: number;
  /** Recipients of single messages, and when they were taken: milliseconds since the epoch. */
  readonly singles: readonly (readonly [recipient: string, atMs: number])[];
}

/** How the recipients of single messages begin. */
export const SINGLE = "single";
const CHILD_FLAG = "--plug-hosts-child";
type Kind = "live" | "silent" | "busy";

export async function startPlugHosts(
  scope: Scope,
  counts: { readonly live: number; readonly dead: number },
): Promise<PlugHosts> {
  const live = Array.from({ length: counts.live }, (_, n) => ({ domain: `d${n}.live.test`, host: addressOf(2, n) }));
  const dead = Array.from({ length: counts.dead }, (_, n) => ({ domain: `d${n}.dead.test`, host: addressOf(5, n), n }));
  const kindOf = (n: number): Kind | "refusing" => (["refusing", "silent", "busy"] as const)[n % 3]!;
  const hosts = [
    ...live.map(({ host }) => [host, "live"]),
    ...dead.filter(({ n }) => kindOf(n) !== "refusing").map(({ host, n }) => [host, kindOf(n)]),
  ];
  const child = forkChild(scope, import.meta.filename, [CHILD_FLAG]);
  const { port } = (await child.ask(hosts)) as { port: number };
  return {
    routes: Object.fromEntries([...live, ...dead].map(({ domain, host }) => [domain, { host, port }])),
    liveDomains: live.map(({ domain }) => domain),
    deadDomains: dead.map(({ domain }) => domain),
    look: async () => (await child.ask("look")) as Look,
  };
}

function addressOf(block: number, n: number): string {
  return `127.${block}.${Math.floor(n / 250)}.${(n % 250) + 1}`;
}

// ---- the child -------------------------------------------------------------------------------------------------------

function serveAll(): void {
  let live = 0;
  const singles: [string, number][] = [];
  const take = (recipient: string): void => {
    if (recipient.startsWith(SINGLE)) singles.push([recipient, performance.timeOrigin + performance.now()]);
    else live++;
  };
  process.on("message", (message: "look" | readonly (readonly [string, Kind])[]) => {
    if (message === "look") return void process.send?.({ live, singles } satisfies Look);
    void listenAll(message, take).then((port) => process.send?.({ port }));
  });
  process.on("disconnect", () => process.exit(0));
}

/** On one port, so that a refused connection is one that nobody listens for. */
async function listenAll(
  hosts: readonly (readonly [host: string, kind: Kind])[],
  take: (recipient: string) => void,
): Promise<number> {
  let port = 0;
  for (const [host, kind] of hosts) {
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => {});
      if (kind === "live") serveLive(socket, take);
      if (kind === "busy") serveBusy(socket);
    });
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
    port = (server.address() as net.AddressInfo).port;
  }
  return port;
}

function serveLive(socket: net.Socket, take: (recipient: string) => void): void {
  const session = createSinkSession();
  socket.write(SINK_GREETING);
  socket.on("data", (chunk: Buffer) => {
    const { replies, accepted, isOver } = session.take(chunk);
    for (const { recipients } of accepted) for (const recipient of recipients) take(recipient);
    if (replies !== "") socket.write(replies, "latin1");
    if (isOver) socket.end();
  });
}

/** Puts everything off at RCPT, as an overloaded server does. */
function serveBusy(socket: net.Socket): void {
  socket.write("220 busy.test ESMTP\r\n");
  let rest = "";
  socket.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("latin1")).split("\r\n");
    rest = lines.pop() ?? "";
    for (const line of lines) socket.write(busyReply(line.slice(0, 4).toUpperCase()));
  });
}

function busyReply(verb: string): string {
  switch (verb) {
    case "RCPT":
      return "451 4.3.2 come again later\r\n";
    case "DATA":
      return "503 5.5.1 no recipient\r\n";
    case "QUIT":
      return "221 2.0.0 bye\r\n";
    default:
      return "250 busy.test\r\n";
  }
}

if (process.argv[2] === CHILD_FLAG) serveAll();
