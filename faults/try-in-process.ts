// One fault in a process of its own, so that several can be tried at once and none takes the others with it.

import { spawn } from "node:child_process";
import path from "node:path";
import { emptyResult, type FaultResult } from "./fault-result.ts";

/** No small count takes a quarter of it. A full one takes what it takes. */
const SMALL_MS_MAX = 300_000;

/** `options`: of main.ts, without the name. */
export async function tryInProcess(
  name: string,
  options: readonly string[],
  interrupted: Promise<never>,
): Promise<FaultResult> {
  const mainPath = path.join(import.meta.dirname, "main.js");
  // A process group of its own: Ctrl-C reaches us first, and we hand it on.
  const child = spawn(process.execPath, [mainPath, name, "--json", "--whole", ...options], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const said: string[] = [];
  const written: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => written.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const ended = new Promise<string>((resolve) =>
    child.once("close", (code, signal) => resolve(String(signal ?? code))),
  );
  const isFull = options.includes("--full");
  const late = setTimeout(() => child.kill("SIGINT"), isFull ? 2 ** 31 - 1 : SMALL_MS_MAX);
  try {
    const how = await Promise.race([ended, interrupted]);
    return (
      readResult(written.join("")) ?? {
        ...emptyResult(name, false),
        complaints: [`it ended with ${how}: ${said.join("").slice(-2000)}`],
      }
    );
  } catch (error) {
    child.kill("SIGINT");
    await ended;
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function readResult(text: string): FaultResult | undefined {
  const line = text.trim().split("\n").at(-1) ?? "";
  try {
    return (JSON.parse(line) as { results: readonly FaultResult[] }).results[0];
  } catch {
    return undefined;
  }
}
