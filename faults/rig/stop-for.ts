// Processes that stand still for a while, as a virtual machine that is paused or a disk that hangs makes them: SIGSTOP, and
// SIGCONT whatever happens meanwhile.

import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";

export async function stopFor(ms: number, pids: readonly number[]): Promise<void> {
  try {
    for (const pid of pids) sendSignal(pid, "SIGSTOP");
    await sleep(ms);
  } finally {
    for (const pid of pids) sendSignal(pid, "SIGCONT");
  }
}
