// How much memory the processes of an installation hold, by what they do. Reads /proc; a process that ends meanwhile is
// left out.

import { readFileSync } from "node:fs";
import { processesOf } from "../../bench/running-processes.ts";

export interface MemorySample {
  /** `front`, `dispatcher bulk`, `up`. */
  readonly role: string;
  readonly rssBytes: number;
}

export function memoryOf(folder: string, supervisorPid: number): readonly MemorySample[] {
  return processesOf(folder).flatMap(({ pid, command }) => {
    const [, name, lane] = /main\.js (up|front|agent|dispatcher)(?: --lane (\S+))?/.exec(command) ?? [];
    if (name === undefined || (name === "up" && pid !== supervisorPid)) return [];
    const rssBytes = rssOf(pid);
    return rssBytes === undefined ? [] : [{ role: lane === undefined ? name : `${name} ${lane}`, rssBytes }];
  });
}

function rssOf(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
