// The machine on which figures were measured, so that figures of two machines are not compared by mistake.

import { readFileSync } from "node:fs";
import os from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gb: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgresql: string;
  readonly postfix: string;
}

export interface Versions {
  readonly postgresql: string;
  readonly postfix: string;
}

export function describeMachine(versions: Versions): Machine {
  return {
    cpu: cpuModel(),
    cores: os.availableParallelism(),
    memory_gb: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    ...versions,
  };
}

/** Some virtual machines leave the model out of what Node reads, but have it in /proc. */
function cpuModel(): string {
  const model = os.cpus()[0]?.model.trim();
  if (model !== undefined && model !== "" && model !== "unknown") return model;
  try {
    return /^model name\s*:\s*(.+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? os.machine();
  } catch {
    return os.machine();
  }
}
