// The ceiling: our SMTP client alone, as a child process, into `smtp-sink`.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { inScope } from "../../test/rig/scope.ts";
import { startSmtpSink } from "../../test/rig/smtp-sink.ts";
import type { PeerLoad, PeerResult } from "../bench-result.ts";
import { smtpProgramMissing } from "./smtp-source.ts";

const MAIN = path.resolve(import.meta.dirname, "own-client-main.js");

export function measureOwnClient(load: PeerLoad): Promise<PeerResult> {
  const missing = smtpProgramMissing();
  if (missing !== undefined) return Promise.resolve({ missing });
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const { messages, messageBytes, connections } = load;
    const numbers = [sink.port, messages, messageBytes, connections].map(String);
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, sink.host, ...numbers]);
    return { perS: (JSON.parse(stdout) as { per_s: number }).per_s };
  });
}
