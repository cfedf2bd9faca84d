// The ceiling of a C program: Postfix's own load generator `smtp-source` straight into `smtp-sink`. It keeps nothing,
// asks nobody and does not pipeline, so it is no mailer; it says what this machine's sink can take from one process.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

import { inScope } from "../../test/rig/scope.ts";
import { SMTP_SINK, startSmtpSink } from "../../test/rig/smtp-sink.ts";
import type { PeerLoad, PeerResult } from "../bench-result.ts";

const SMTP_SOURCE = "/usr/sbin/smtp-source";
const run = promisify(execFile);
const runMsMax = 600_000;

export function measureSmtpSource(load: PeerLoad): Promise<PeerResult> {
  const missing = smtpProgramMissing();
  if (missing !== undefined) return Promise.resolve({ missing });
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const startedAt = performance.now();
    await feedBySmtpSource(sink.port, load);
    const seconds = (performance.now() - startedAt) / 1000;
    const received = sink.count();
    if (received !== load.messages) throw new Error(`smtp-source sent ${received} of ${load.messages} messages`);
    return { perS: load.messages / seconds };
  });
}

export function smtpProgramMissing(): string | undefined {
  return [SMTP_SINK, SMTP_SOURCE].find((program) => !existsSync(program));
}

/** `-d`: keeps its sessions open, as a website's mailer does. Resolves when every message was answered. */
export async function feedBySmtpSource(port: number, { messages, messageBytes, connections }: PeerLoad): Promise<void> {
  const envelope = ["-f", "news@example.com", "-t", "someone@example.net"];
  const sizes = ["-s", String(connections), "-m", String(messages), "-l", String(messageBytes)];
  await run(SMTP_SOURCE, ["-d", "-4", ...sizes, ...envelope, `127.0.0.1:${port}`], { timeout: runMsMax });
}
