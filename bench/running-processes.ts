// The processes of this machine whose command line names a folder: how a demo or a crash run finds the children of a
// supervisor, to kill one, and to leave none behind. Reads /proc on Linux and asks `ps` elsewhere, so that it needs no
// package. A folder with a random name makes sure that nobody else's process is found.

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

export interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly command: string;
}

export function processesOf(folder: string): readonly RunningProcess[] {
  return listProcesses().filter(({ pid, command }) => pid !== process.pid && command.includes(folder));
}

export function childrenOf(parentPid: number): readonly RunningProcess[] {
  return listProcesses().filter((running) => running.parentPid === parentPid);
}

function listProcesses(): readonly RunningProcess[] {
  if (process.platform !== "linux") return listByPs();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)));
}

function readProcess(pid: number): readonly RunningProcess[] {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name stands in parentheses and may hold anything; state and parent come after it.
    const [state, parentPid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" ? [] : [{ pid, parentPid: Number(parentPid), command }];
  } catch {
    return []; // It ended while we looked.
  }
}

function listByPs(): readonly RunningProcess[] {
  const lines = execFileSync("ps", ["-axo", "pid=,ppid=,command="], { encoding: "latin1" }).split("\n");
  return lines.flatMap((line) => {
    const found = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    return found === null ? [] : [{ pid: Number(found[1]), parentPid: Number(found[2]), command: found[3]! }];
  });
}

/** True when there was such a process to send it to. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
