// One supervised process: started, watched, started again when it dies, ended when it hangs. The pause before a new
// start doubles while it keeps dying young, so that a broken configuration does not burn the machine.

import { fork, type ChildProcess } from "node:child_process";
import os from "node:os";
import type { Log } from "../platform/log.ts";
import { ALIVE_MISSING_MS_MAX, type FromChild, type ToChild } from "./supervision.ts";

export interface ChildSpec {
  readonly name: string;
  readonly modulePath: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Where its JSON lines go. */
  readonly logDescriptor: number;
}

export interface ChildEvents {
  onReady(): void;
  onTold(line: string): void;
  onDied(how: string, restartInMs: number): void;
}

export interface Child {
  readonly name: string;
  readonly pid: number | undefined;
  /** Asks it to drain and waits; after `graceMs` it is killed. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Flags of Node for every child: ours, and one more, for the part of the heap where objects are young. Node 20 lets it grow to
 * 16 MB, Node 24 further: a dispatcher took 202 and 286 MB then, and with this 182 on Node 20, at the same rate.
 */
export const CHILD_FLAGS: readonly string[] = [...process.execArgv, "--max-semi-space-size=8"];

/** Node's own; a name that is looked up for long keeps one of them. */
const POOL_THREADS_MIN = 4;

/** Signatures are made on the thread pool, and with more cores than it has threads the others would stay idle. */
export function childEnv(): NodeJS.ProcessEnv {
  const threads = Math.max(POOL_THREADS_MIN, os.availableParallelism());
  return { UV_THREADPOOL_SIZE: String(threads), ...process.env };
}

const RESTART_FIRST_MS = 100;
const RESTART_MS_MAX = 5000;
/**
 * A process that worked this long was well: whatever ended it came from outside or is rare, mail waits for it, and the
 * next pause is the first again. One that never becomes ready, or dies of its first work, is started ever more seldom.
 */
export const WELL_AFTER_READY_MS = 1000;
/** How often a child is looked after, and from which gap between two looks we were paused ourselves. */
const LOOK_MS = 1000;
const PAUSE_NOTICED_MS = 5 * LOOK_MS;

export function superviseChild(spec: ChildSpec, events: ChildEvents, log: Log): Child {
  let child: ChildProcess | undefined;
  let pauseMs = RESTART_FIRST_MS;
  let restartTimer: NodeJS.Timeout | undefined;
  let isStopping = false;
  let died = Promise.resolve();

  const start = (): void => {
    const startedAtMs = performance.now();
    let heardAtMs = startedAtMs;
    let readyAtMs = Infinity;
    try {
      child = forked(spec);
    } catch (error) {
      // For want of memory Node throws; for want of a process it emits an error, below.
      log.error("process.start_failed", { process: spec.name, error: String(error) });
      return restartLater("could not be started", { wasWell: false, livedMs: 0 });
    }
    const { pid } = child;
    if (pid !== undefined) log.info("process.started", { process: spec.name, child_pid: pid });
    let lookedAtMs = startedAtMs;
    const watch = setInterval(() => {
      const nowMs = performance.now();
      // After a pause of the whole machine it is we who have not listened.
      if (nowMs - lookedAtMs > PAUSE_NOTICED_MS) heardAtMs = nowMs;
      lookedAtMs = nowMs;
      if (nowMs - heardAtMs < ALIVE_MISSING_MS_MAX) return;
      log.error("process.hung", { process: spec.name, child_pid: pid });
      child?.kill("SIGKILL");
    }, LOOK_MS);
    child.on("message", (message: FromChild) => {
      heardAtMs = performance.now();
      if (message.kind === "ready") {
        readyAtMs = heardAtMs;
        events.onReady();
      }
      if (message.kind === "told") events.onTold(message.line);
    });
    died = new Promise((resolve) => {
      const end = (how: string): void => {
        clearInterval(watch);
        child = undefined;
        resolve();
        const nowMs = performance.now();
        const wasWell = nowMs - readyAtMs > WELL_AFTER_READY_MS;
        if (!isStopping) restartLater(how, { wasWell, livedMs: nowMs - startedAtMs });
      };
      child!.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      child!.on("error", (error) => {
        log.error("process.start_failed", { process: spec.name, error: error.message });
        // What did not begin has no exit either.
        if (pid === undefined) end("could not be started");
      });
    });
  };

  const restartLater = (
    how: string,
    { wasWell, livedMs }: { readonly wasWell: boolean; readonly livedMs: number },
  ): void => {
    pauseMs = wasWell ? RESTART_FIRST_MS : Math.min(RESTART_MS_MAX, pauseMs * 2);
    log.error("process.died", { process: spec.name, how, lived_ms: Math.round(livedMs), restart_in_ms: pauseMs });
    events.onDied(how, pauseMs);
    restartTimer = setTimeout(start, pauseMs);
  };

  start();
  return {
    name: spec.name,
    get pid() {
      return child?.pid;
    },
    async stop(graceMs) {
      isStopping = true;
      clearTimeout(restartTimer);
      if (child === undefined) return;
      if (child.connected) child.send({ kind: "drain" } satisfies ToChild, () => {});
      else child.kill("SIGTERM");
      const killer = setTimeout(() => child?.kill("SIGKILL"), graceMs);
      await died;
      clearTimeout(killer);
    },
  };
}

function forked({ modulePath, args, env, logDescriptor }: ChildSpec): ChildProcess {
  return fork(modulePath, args, {
    env,
    execArgv: [...CHILD_FLAGS],
    stdio: ["ignore", logDescriptor, logDescriptor, "ipc"],
  });
}
