// What the limits of this machine mean for what the configuration allows. Pure.

import type { Config } from "../platform/config.ts";
import { finding, foundIf, type Finding } from "./finding.ts";
import type { MachineFacts } from "./machine-facts.ts";

export interface MachineNeeds {
  /** Of the process that needs the most. */
  readonly openFiles: number;
  /** Connections to one host of a relay, of all dispatchers. */
  readonly ports: number;
  readonly processes: number;
  readonly isEmbedded: boolean;
  readonly signs: boolean;
}

/** Files of a process beside its connections: modules, logs, journals, the database. */
const FILES_BESIDE = 200;

export function needsOf(config: Config): MachineNeeds {
  const { http, smtp, lanes, outlets, dkim } = config;
  const front = http.connectionsMax + smtp.limits.sessionsMax;
  const connectionsOf = (names: readonly string[]): number =>
    names.reduce((sum, name) => sum + (outlets[name]?.type === "smtp" ? outlets[name].connectionsMax : 1), 0);
  const all = Object.values(lanes);
  const dispatchers = all.reduce((sum, lane) => sum + lane.dispatchers, 0);
  const agents = Object.values(outlets).filter((one) => one.type === "smtp" && one.gauge?.isRemote === false).length;
  return {
    openFiles: Math.max(front, ...all.map((lane) => connectionsOf(lane.outlets))) + FILES_BESIDE,
    ports: all.reduce((sum, lane) => sum + lane.dispatchers * connectionsOf(lane.outlets), 0),
    // The supervisor and the front.
    processes: dispatchers + agents + 2,
    isEmbedded: config.databaseUrl === undefined,
    signs: dkim.keys.length > 0,
  };
}

/** A port rests for a minute after its connection, so that several generations of connections are there at once. */
const PORTS_FACTOR = 10;
/** Node's own threads, libuv's pool, V8's, and signing. */
const THREADS_PER_PROCESS = 24;
/** The embedded server has a process for each session, and its own. */
const DATABASE_PROCESSES = 110;
/** An estimate, and for a large campaign a low one: 60 to 110 MB at rest, a dispatcher 190 and the front 320 then. */
const PROCESS_BYTES = 150_000_000;
/** Its shared_buffers (embedded-settings.ts) and as much again. */
const DATABASE_BYTES = 600_000_000;

export function judgeMachine(machine: MachineFacts, needs: MachineNeeds, nowMs: number): readonly Finding[] {
  return [...judgeLimits(machine, needs), ...judgeClock(machine), ...judgeNode(machine, nowMs)];
}

function judgeLimits(machine: MachineFacts, needs: MachineNeeds): readonly Finding[] {
  const { openFilesMax: files = Infinity, ports = Infinity, tasksMax: tasks = Infinity, memoryBytes: memory } = machine;
  const threads = needs.processes * THREADS_PER_PROCESS + (needs.isEmbedded ? DATABASE_PROCESSES : 0);
  const bytes = needs.processes * PROCESS_BYTES + (needs.isEmbedded ? DATABASE_BYTES : 0);
  const told = (limit: number, needed: number) => ({ limit, needed });
  return [
    ...foundIf(files < needs.openFiles, () =>
      finding(
        "open_files_few",
        `a process may open ${files} files, and may need ${needs.openFiles}`,
        told(files, needs.openFiles),
      ),
    ),
    ...foundIf(ports < needs.ports * PORTS_FACTOR, () =>
      finding("ports_few", `there are ${ports} local ports for ${needs.ports} connections`, told(ports, needs.ports)),
    ),
    ...foundIf(tasks < threads, () =>
      finding(
        "threads_few",
        `${tasks} processes and threads are allowed, and ${threads} may be needed`,
        told(tasks, threads),
      ),
    ),
    ...foundIf(memory < bytes, () =>
      finding("memory_small", `there are ${mb(memory)} MB, and ${mb(bytes)} MB may be needed`, told(memory, bytes)),
    ),
    ...foundIf(needs.isEmbedded && machine.overcommit === 1, () =>
      finding("overcommit", "vm.overcommit_memory is 1", { overcommit: 1 }),
    ),
    ...foundIf(needs.signs && machine.threadPool < machine.cores, () =>
      finding(
        "signing_threads_few",
        `UV_THREADPOOL_SIZE is ${machine.threadPool} here, and there are ${machine.cores} cores`,
        told(machine.threadPool, machine.cores),
      ),
    ),
  ];
}

const mb = (bytes: number): number => Math.round(bytes / 1e6);

function judgeClock({ clock }: MachineFacts): readonly Finding[] {
  switch (clock) {
    case "synchronised":
      return [];
    case "unsynchronised":
      return [finding("clock_unsynchronised", "systemd-timesyncd runs, and has not set the clock since the boot")];
    case "unknown":
      return [finding("clock_service_unknown", "neither systemd-timesyncd nor chrony nor ntpd was seen")];
  }
}

/** nodejs.org/en/about/previous-releases: the last day of each line; odd ones live for half a year and are not meant. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: "2026-04-30",
  22: "2027-04-30",
  24: "2028-04-30",
};
const NODE_MIN = [20, 19] as const;
/** Zones change their rules several times a year; a release of Node follows within weeks. */
const ZONES_YEARS_MAX = 1;

function judgeNode({ node, zones }: MachineFacts, nowMs: number): readonly Finding[] {
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const today = new Date(nowMs).toISOString();
  if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
    return [finding("node_too_old", `this is Node ${node}`, { node })];
  }
  const end = END_OF_LIFE[major];
  const zonesYear = Number.parseInt(zones ?? today, 10);
  return [
    ...foundIf(end !== undefined && today.slice(0, 10) > end, () =>
      finding("node_end_of_life", `Node ${node} was supported until ${end}`, { node, until: end! }),
    ),
    ...foundIf(zonesYear < Number.parseInt(today, 10) - ZONES_YEARS_MAX, () =>
      finding("time_zones_old", `the time zones of this Node are of ${zones}`, { zones: zones! }),
    ),
  ];
}
