// The truth sink: an SMTP server that accepts everything and writes each message into its ledger before it says 250. It
// runs in a process of its own (truth-sink-main.ts), so that no crash of ours takes the witness with it. On request the
// ledger is fsynced before each 250, in groups, and connections are cut, half of them right after a message was noted and
// before its 250: what a lost network makes of a relay.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fdatasync, openSync, writeSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { printReception } from "./sink-ledger.ts";
import { createSinkSession, SINK_GREETING, type AcceptedMessage, type SinkSession } from "./sink-session.ts";

interface FromSink {
  readonly kind: "listening";
  readonly port: number;
}
interface ToSink {
  readonly kind: "cut";
}

export interface TruthSink {
  readonly port: number;
  readonly pid: number;
  readonly ledgerFile: string;
  /** Cuts every connection: one half at once, the other after its next message was noted, without a reply. */
  cutConnections(): void;
  stop(): Promise<void>;
}

export interface SinkOptions {
  /** A regular expression of words that it notes in the ledger, such as the version of a text. */
  readonly wanted?: string;
  /** A line is on the disk before its 250. */
  readonly isSynced?: boolean;
  /** A free one, if none is named. */
  readonly port?: number;
}

/** Starts the sink's process and waits until it listens on the loopback. */
export async function startTruthSink(ledgerFile: string, options: SinkOptions = {}): Promise<TruthSink> {
  const modulePath = path.join(import.meta.dirname, "truth-sink-main.js");
  // Its own process group: Ctrl-C reaches us first, and we end it when the ledger was read.
  const child = fork(modulePath, [ledgerFile, JSON.stringify(options)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    detached: true,
  });
  const ended = once(child, "exit");
  const first = await Promise.race([once(child, "message"), ended.then(() => undefined)]);
  if (first === undefined || child.pid === undefined) throw new Error("the sink did not start");
  const { port } = first[0] as FromSink;
  return {
    port,
    pid: child.pid,
    ledgerFile,
    cutConnections: () => void child.send({ kind: "cut" } satisfies ToSink),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await ended;
    },
  };
}

/** The body of the sink's process: ends when its parent is gone. */
export function serveTruthSink(ledgerFile: string, { wanted: words, isSynced = false, port = 0 }: SinkOptions): void {
  const ledger = openSync(ledgerFile, "a", 0o600);
  const sync = isSynced ? createGroupedSync(ledger) : undefined;
  const wanted = words === undefined ? undefined : new RegExp(words, "g");
  const connections = new Map<net.Socket, { isDoomed: boolean }>();
  let connection = 0;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const fate = { isDoomed: false };
    connections.set(socket, fate);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, createSinkSession(wanted), { connection: ++connection, fate, ledger, sync });
  });
  server.listen(port, "127.0.0.1", () => {
    const address = server.address() as net.AddressInfo;
    process.send?.({ kind: "listening", port: address.port } satisfies FromSink);
  });
  process.on("message", (message: ToSink) => {
    if (message.kind === "cut") cutAll(connections);
  });
  process.on("disconnect", () => process.exit(0));
}

function serveConnection(
  socket: net.Socket,
  session: SinkSession,
  given: {
    readonly connection: number;
    readonly fate: { readonly isDoomed: boolean };
    readonly ledger: number;
    readonly sync: GroupedSync | undefined;
  },
): void {
  const { connection, fate, ledger, sync } = given;
  let turn = Promise.resolve();
  socket.on("error", () => {}); // A client that was killed: what it had sent is noted or it is not.
  socket.write(SINK_GREETING);
  socket.on("data", (chunk: Buffer) => {
    const { replies, accepted, isOver } = session.take(chunk);
    if (accepted.length > 0) {
      writeSync(ledger, linesOf(accepted, connection));
      if (fate.isDoomed) return void socket.destroy();
    }
    const answer = (): void => {
      if (replies !== "") socket.write(replies, "latin1");
      if (isOver) socket.end();
    };
    if (sync === undefined) return answer();
    // Replies keep their order, whatever the disk takes.
    const synced = accepted.length > 0 ? sync() : Promise.resolve();
    turn = Promise.all([turn, synced]).then(answer);
  });
}

type GroupedSync = () => Promise<void>;

/** One fdatasync at a time; whoever asks meanwhile gets the next one, for what he wrote may have missed this one. */
function createGroupedSync(descriptor: number): GroupedSync {
  let isRunning = false;
  let waiting: (() => void)[] = [];
  const run = (): void => {
    const served = waiting;
    waiting = [];
    isRunning = true;
    fdatasync(descriptor, (error) => {
      if (error !== null) throw error;
      isRunning = false;
      for (const done of served) done();
      if (waiting.length > 0) run();
    });
  };
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (!isRunning) run();
    });
}

function linesOf(accepted: readonly AcceptedMessage[], connection: number): string {
  const atMs = performance.timeOrigin + performance.now();
  let lines = "";
  for (const { messageIdHeader, returnPath, recipients, noted } of accepted)
    for (const recipient of recipients)
      lines += printReception({ atMs, connection, messageIdHeader, returnPath, recipient, noted });
  return lines;
}

function cutAll(connections: ReadonlyMap<net.Socket, { isDoomed: boolean }>): void {
  let isDoomed = false;
  for (const [socket, fate] of connections) {
    isDoomed = !isDoomed;
    if (isDoomed) fate.isDoomed = true;
    else socket.destroy();
  }
}
