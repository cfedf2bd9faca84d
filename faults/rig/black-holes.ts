// Packets that vanish in the middle of a session, in a network of its own that ends with its process (black-holes-main.ts):
// nothing of it is seen from outside, and nothing is left behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Scope } from "../../test/rig/scope.ts";

export interface BlackHoles {
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
}

/** `slackMs`: so much later may anything be, since the machine has other work. */
export async function tryBlackHoles(scope: Scope, slackMs: number): Promise<BlackHoles> {
  const main = path.join(import.meta.dirname, "black-holes-main.js");
  const args = ["--net", "--", process.execPath, main, String(slackMs)];
  const child = spawn("unshare", args, { stdio: ["ignore", "pipe", "inherit"] });
  scope.after(() => void child.kill("SIGKILL"));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (said += piece));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) return { complaints: [`what was tried in a network of its own ended with ${code}`], notes: [] };
  return JSON.parse(said) as BlackHoles;
}
