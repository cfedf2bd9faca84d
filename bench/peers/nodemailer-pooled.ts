// Nodemailer with a pool, as a Node.js site would send a newsletter: every message merged from the recipient's data and
// given to the pool, into `smtp-sink`. Runs in a process of its own, so that it shares no event loop with us; this file
// is both the parent's side and, started as a program, the child.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createTransport } from "nodemailer";

import { inScope } from "../../test/rig/scope.ts";
import { SMTP_SINK, startSmtpSink } from "../../test/rig/smtp-sink.ts";
import type { PeerLoad, PeerResult } from "../bench-result.ts";

const CHILD_FLAG = "--nodemailer-child";
/** Calls of sendMail open at once: enough that no connection ever waits, few enough for its memory. */
const openPerConnection = 10;

export function measureNodemailerPooled(load: PeerLoad): Promise<PeerResult> {
  if (!existsSync(SMTP_SINK)) return Promise.resolve({ missing: SMTP_SINK });
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const { seconds } = await runChild({ ...load, port: sink.port });
    const received = sink.count();
    if (received !== load.messages) throw new Error(`Nodemailer sent ${received} of ${load.messages} messages`);
    return { perS: load.messages / seconds };
  });
}

interface ChildLoad extends PeerLoad {
  readonly port: number;
}

async function runChild(load: ChildLoad): Promise<{ readonly seconds: number }> {
  const child = spawn(process.execPath, [import.meta.filename, CHILD_FLAG, JSON.stringify(load)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the Nodemailer process ended with ${String(code)}`);
  return { seconds: Number(output) };
}

/** Seconds from the first merge to the last reply. */
async function sendAll({ port, messages, messageBytes, connections }: ChildLoad): Promise<number> {
  const transport = createTransport({
    pool: true,
    host: "127.0.0.1",
    port,
    ignoreTLS: true,
    maxConnections: connections,
    maxMessages: Infinity,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const startedAt = performance.now();
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < messages) await transport.sendMail(merge(next++, messageBytes));
  };
  await Promise.all(Array.from({ length: connections * openPerConnection }, sender));
  const seconds = (performance.now() - startedAt) / 1000;
  transport.close();
  return seconds;
}

function merge(index: number, messageBytes: number) {
  const greeting = `Dear reader ${index},\n\n`;
  const line = "The quick brown fox jumps over the lazy dog, and so does this newsletter.\n";
  return {
    from: "News <news@example.com>",
    to: `reader-${index}@example-${index % 1000}.net`,
    subject: `News for reader ${index}`,
    text: greeting + line.repeat(Math.max(1, Math.ceil((messageBytes - 500) / line.length))),
  };
}

if (process.argv[2] === CHILD_FLAG) {
  process.stdout.write(String(await sendAll(JSON.parse(process.argv[3] ?? "{}") as ChildLoad)));
}
