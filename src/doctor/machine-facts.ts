// What this machine says of itself, from /proc, /sys and /run, as far as it can be read; what cannot be found out is
// absent. Only reads.

import { readFile, stat } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import path from "node:path";

export interface MachineFacts {
  /** Of this process, which Node has raised as far as it may. */
  readonly openFilesMax?: number;
  readonly ports?: number;
  readonly tasksMax?: number;
  /** Of the machine, or of the tightest control group that this process is in. */
  readonly memoryBytes: number;
  readonly overcommit?: number;
  readonly cores: number;
  readonly threadPool: number;
  readonly clock: "synchronised" | "unsynchronised" | "unknown";
  readonly node: string;
  /** `2025b`; absent in a Node without zones of its own. */
  readonly zones?: string;
}

export async function readMachine(env: NodeJS.ProcessEnv = process.env): Promise<MachineFacts> {
  const groups = await controlGroups();
  const limits = await readOrNothing("/proc/self/limits");
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  const [first, last] = (await readOrNothing("/proc/sys/net/ipv4/ip_local_port_range")).trim().split(/\s+/).map(Number);
  const tasks = await tightest(groups, "pids.max");
  const overcommit = (await readOrNothing("/proc/sys/vm/overcommit_memory")).trim();
  const { tz } = process.versions;
  return {
    ...(files === undefined ? {} : { openFilesMax: Number(files) }),
    ...(first === undefined || last === undefined ? {} : { ports: last - first + 1 }),
    ...(tasks === undefined ? {} : { tasksMax: tasks }),
    memoryBytes: Math.min(totalmem(), (await tightest(groups, "memory.max")) ?? Infinity),
    ...(overcommit === "" ? {} : { overcommit: Number(overcommit) }),
    cores: availableParallelism(),
    threadPool: Number(env["UV_THREADPOOL_SIZE"] ?? THREAD_POOL_DEFAULT),
    clock: await clockState(),
    node: process.versions.node,
    ...(tz === undefined ? {} : { zones: tz }),
  };
}

/** libuv's own. */
const THREAD_POOL_DEFAULT = 4;

/** Of cgroup v2: `0::/system.slice/postlane.service`; this group and those above it bind. */
async function controlGroups(): Promise<readonly string[]> {
  const [, own] = /^0::(\/.*)$/m.exec(await readOrNothing("/proc/self/cgroup")) ?? [];
  if (own === undefined) return [];
  const parts = own.split("/").filter(Boolean);
  return [parts.length, ...parts.keys()].map((count) => path.join("/sys/fs/cgroup", ...parts.slice(0, count)));
}

/** A group without a limit says "max". */
async function tightest(groups: readonly string[], file: string): Promise<number | undefined> {
  const texts = await Promise.all(groups.map((group) => readOrNothing(path.join(group, file))));
  const limits = texts.filter((text) => /^\d+\s*$/.test(text)).map(Number);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** systemd-timesyncd leaves a file once it has set the clock; of chrony and ntpd only that they run can be seen. */
async function clockState(): Promise<MachineFacts["clock"]> {
  if (await isThere("/run/systemd/timesync/synchronized")) return "synchronised";
  const services = ["/run/chrony/chronyd.pid", "/run/chronyd.pid", "/run/ntpd.pid", "/run/openntpd.pid"];
  for (const file of services) if (await isThere(file)) return "synchronised";
  return (await isThere("/run/systemd/timesync")) ? "unsynchronised" : "unknown";
}

async function isThere(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  );
}

async function readOrNothing(file: string): Promise<string> {
  return await readFile(file, "utf8").catch(() => "");
}
