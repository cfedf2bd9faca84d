// For preloads: which of Postlane's processes this one is, by its command line. A dispatcher goes by its lane.

import { isMainThread } from "node:worker_threads";

/** `bulk` and the like for a dispatcher, `front`, `agent`, `up`; undefined in a thread, which has nothing to break. */
export function thisProcess(): string | undefined {
  if (!isMainThread) return undefined;
  const [, , command, ...args] = process.argv;
  return command === "dispatcher" ? args[args.indexOf("--lane") + 1] : command;
}
