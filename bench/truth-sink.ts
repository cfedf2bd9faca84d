// The truth sink: an SMTP server that accepts everything and writes each message into its ledger before it says 250. It
// runs in a process of its own (truth-sink-main.ts), so that no crash of ours takes the witness with it. The ledger is
// not fsynced: it has to survive the death of processes, not of the machine. On request it cuts connections, half of
// them right after a message was noted and before its 250: what a lost network makes of a relay.

import { fork } from "node:child_process";
import { once } from "node:events";
import { openSync, writeSync } from "node:fs";
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

/**
 * Starts the sink's process and waits until it listens on a free port of the loopback. `wanted`: a regular expression of
 * words that it notes in the ledger, such as the version of a text.
 */
export async function startTruthSink(ledgerFile: string, wanted?: string): Promise<TruthSink> {
  const modulePath = path.join(import.meta.dirname, "truth-sink-main.js");
  // Its own process group: Ctrl-C reaches us first, and we end it when the ledger was read.
  const child = fork(modulePath, wanted === undefined ? [ledgerFile] : [ledgerFile, wanted], {
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
export function serveTruthSink(ledgerFile: string, wantedWords: string | undefined): void {
  const ledger = openSync(ledgerFile, "a", 0o600);
  const wanted = wantedWords === undefined ? undefined : new RegExp(wantedWords, "g");
  const connections = new Map<net.Socket, { isDoomed: boolean }>();
  let connection = 0;
  const server = net.createServer({ noDelay: true }, (socket) => {
    const fate = { isDoomed: false };
    connections.set(socket, fate);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, createSinkSession(wanted), { connection: ++connection, fate, ledger });
  });
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo;
    process.send?.({ kind: "listening", port } satisfies FromSink);
  });
  process.on("message", (message: ToSink) => {
    if (message.kind === "cut") cutAll(connections);
  });
  process.on("disconnect", () => process.exit(0));
}

function serveConnection(
  socket: net.Socket,
  session: SinkSession,
  given: { readonly connection: number; readonly fate: { readonly isDoomed: boolean }; readonly ledger: number },
): void {
  const { connection, fate, ledger } = given;
  socket.on("error", () => {}); // A client that was killed: what it had sent is noted or it is not.
  socket.write(SINK_GREETING);
  socket.on("data", (chunk: Buffer) => {
    const { replies, accepted, isOver } = session.take(chunk);
    if (accepted.length > 0) {
      writeSync(ledger, linesOf(accepted, connection));
      if (fate.isDoomed) return void socket.destroy();
    }
    if (replies !== "") socket.write(replies, "latin1");
    if (isOver) socket.end();
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
