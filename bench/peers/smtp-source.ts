// Postfix's own load generator `smtp-source`, which feeds the peers that take mail by SMTP.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

import { SMTP_SINK } from "../../test/rig/smtp-sink.ts";
import type { PeerLoad } from "../bench-result.ts";

const SMTP_SOURCE = "/usr/sbin/smtp-source";
const run = promisify(execFile);
const runMsMax = 600_000;

export function smtpProgramMissing(): string | undefined {
  return [SMTP_SINK, SMTP_SOURCE].find((program) => !existsSync(program));
}

/** `-d`: keeps its sessions open, as a website's mailer does. Resolves when every message was answered. */
export async function feedBySmtpSource(port: number, { messages, messageBytes, connections }: PeerLoad): Promise<void> {
  const envelope = ["-f", "news@example.com", "-t", "someone@example.net"];
  const sizes = ["-s", String(connections), "-m", String(messages), "-l", String(messageBytes)];
  await run(SMTP_SOURCE, ["-d", "-4", ...sizes, ...envelope, `127.0.0.1:${port}`], { timeout: runMsMax });
}
