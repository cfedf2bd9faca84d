// Postfix's own `smtp-sink` as a peer: a C program that takes any mail and throws it away, faster than we can send.
// It counts every final dot into a file (measured: no difference at 10,000 messages a second), and can keep each
// message in a file of its own for comparisons. Assumes Debian's postfix package; listens on the loopback only.
// Never answers anything but success: for chosen replies there is the scripted sink.

import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { rmSync, statSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import type { Scope } from "./scope.ts";

export const SMTP_SINK = "/usr/sbin/smtp-sink";
/** Another program may take the port between our look and the sink's bind. */
const startTriesMax = 5;
const startMsMax = 10_000;
const stopMsMax = 5_000;
const pollMs = 10;
/** One counter line of the sink is about 40 octets; two of them always hold a whole one. */
const counterTailBytes = 128;

export interface SmtpSinkOptions {
  /** Keeps every message; two orders of magnitude slower. */
  readonly keep?: boolean;
  /** More arguments, such as ["-p"] for a sink without PIPELINING. */
  readonly args?: readonly string[];
  /** Connections served at the same time; smtp-sink's own default is 256. */
  readonly connectionsMax?: number;
}

export interface KeptMessage {
  readonly mailFrom: string;
  readonly rcptTo: readonly string[];
  /** As it stood between DATA and the final dot, without dot-stuffing, its lines ended by LF. */
  readonly content: Buffer;
}

export interface SmtpSink {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Messages whose final dot arrived since the start. */
  count(): number;
  /** Resolves with the count when it has reached `wanted`; rejects after `msMax`, naming how far it came. */
  waitForCount(wanted: number, msMax: number): Promise<number>;
  /** What was kept, in no order; only with `keep`. */
  kept(): readonly KeptMessage[];
  stop(): Promise<void>;
}

export async function startSmtpSink(scope: Scope, options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const folder = makeFolder();
  const { child, port } = await startOnFreePort(folder, options);
  let stopping: Promise<void> | undefined;
  const sink: SmtpSink = {
    host: "127.0.0.1",
    port,
    pid: child.pid!,
    count: () => readCount(path.join(folder, "counters")),
    waitForCount: (wanted, msMax) => waitForCount(sink, wanted, msMax),
    kept: () => readKept(folder),
    stop: () => (stopping ??= stopChild(child).finally(() => rmSync(folder, { recursive: true, force: true }))),
  };
  scope.after(() => sink.stop());
  return sink;
}

/** The sink gives up root for `nobody`, who has to be able to write here. */
function makeFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-sink-"));
  chmodSync(folder, 0o777);
  return folder;
}

async function startOnFreePort(
  folder: string,
  options: SmtpSinkOptions,
): Promise<{ child: ChildProcess; port: number }> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    const child = spawnSink(folder, port, options);
    const problem = await untilListening(child, port);
    if (problem === undefined) return { child, port };
    await stopChild(child);
    if (tries < startTriesMax) continue;
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`smtp-sink did not start: ${problem}`);
  }
}

function spawnSink(folder: string, port: number, options: SmtpSinkOptions): ChildProcess {
  const counters = openSync(path.join(folder, "counters"), "w");
  const args = ["-4", "-c", "-m", String(options.connectionsMax ?? 1024)];
  if (process.getuid?.() === 0) args.push("-u", "nobody");
  if (options.keep === true) args.push("-d", path.join(folder, "kept-"));
  args.push(...(options.args ?? []), `127.0.0.1:${port}`, "1024");
  const child = spawn(SMTP_SINK, args, { stdio: ["ignore", counters, "pipe"], cwd: folder });
  closeSync(counters);
  // A test that is killed must not leave a sink behind; `exit` is the last chance to say so.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  return child;
}

/** Undefined once a connection was taken, else what went wrong. */
async function untilListening(child: ChildProcess, port: number): Promise<string | undefined> {
  let complaint = "";
  let ended: string | undefined;
  child.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  child.once("error", (error) => (ended = error.message));
  child.once("exit", (code) => (ended ??= `exit code ${code}: ${complaint.trim()}`));
  const deadline = performance.now() + startMsMax;
  while (ended === undefined) {
    if (await answers(port)) return ended;
    if (performance.now() > deadline) return `nothing listens on port ${port} after ${startMsMax} ms`;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return ended;
}

/** True when something accepts a connection; it is closed again at once. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => socket.destroy());
    socket.once("error", () => resolve(false));
    socket.once("close", (hadError) => resolve(!hadError));
  });
}

async function waitForCount(sink: SmtpSink, wanted: number, msMax: number): Promise<number> {
  const deadline = performance.now() + msMax;
  for (;;) {
    const count = sink.count();
    if (count >= wanted) return count;
    if (performance.now() > deadline) throw new Error(`the sink got ${count} of ${wanted} messages in ${msMax} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** The sink appends `sess=1 quit=1 mesg=4\r` after every event; the last whole one counts. */
function readCount(file: string): number {
  const size = statSync(file).size;
  const tail = Buffer.alloc(Math.min(size, counterTailBytes));
  const handle = openSync(file, "r");
  try {
    readSync(handle, tail, 0, tail.length, size - tail.length);
  } finally {
    closeSync(handle);
  }
  return Number([...tail.toString("latin1").matchAll(/mesg=(\d+)\r/g)].at(-1)?.[1] ?? 0);
}

function readKept(folder: string): readonly KeptMessage[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith("kept-"))
    .map((name) => parseKept(readFileSync(path.join(folder, name), "latin1")));
}

/** The sink's own X- lines and its Received field (three lines) stand before the content, an empty line after it. */
function parseKept(text: string): KeptMessage {
  const head = /^(?:X-[^\n]*\n)*Received:[^\n]*\n(?:\t[^\n]*\n)*/.exec(text)?.[0] ?? "";
  const content = text.slice(head.length).replace(/\n$/, "");
  return {
    mailFrom: /^X-Mail-Args: <([^>]*)>/m.exec(head)?.[1] ?? "",
    rcptTo: [...head.matchAll(/^X-Rcpt-Args: <([^>]*)>/gm)].map((match) => match[1] ?? ""),
    content: Buffer.from(content, "latin1"),
  };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const insist = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await exited;
  clearTimeout(insist);
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject()));
    });
  });
}
