// How many sessions of the database each process of ours opens at most. Here together, so that the doctor can hold their
// sum against what the server lets in. Pure.

import type { Config } from "./config.ts";

export const SESSIONS_MAX = {
  front: 4,
  /** Three groups may be committing, urgent, bulk and large, and batches; keys, rates and what clients read are asked for meanwhile. */
  frontEntry: 7,
  /** As many batches as may be under way, urgent and bulk. */
  frontBatches: 4,
  /** Two lists that are imported, one session for the turn of each, and what their chunks leave to others. */
  frontLongWork: 6,
  /** Most reads take a millisecond. */
  frontReads: 3,
  /** One judges, the others keep what the door takes. */
  frontReturns: 4,
  /** One looks and claims, the other settles. */
  frontWebhooks: 2,
  /** One that looks, and two for questions about single messages. */
  frontTelling: 3,
  /** It reads the next chunk while it renders one. */
  frontPreflight: 2,
  dispatcher: 6,
  /** One each for readings, the log and notices, and one to spare. */
  agent: 4,
} as const;

/** A command of a person, and the dispatcher that begins while its predecessor drains. */
const SPARE = 6;

/** Of everything that `postlane up` runs by this configuration, and a command beside it. Agents elsewhere count as well. */
export function sessionsNeeded({ lanes, outlets }: Pick<Config, "lanes" | "outlets">): number {
  const { dispatcher, agent, ...front } = SESSIONS_MAX;
  const ofFront = Object.values(front).reduce((sum: number, limit) => sum + limit, 0);
  const dispatchers = Object.values(lanes).reduce((sum, lane) => sum + lane.dispatchers, 0);
  const agents = Object.values(outlets).filter((outlet) => outlet.type === "smtp" && outlet.gauge !== undefined).length;
  return ofFront + dispatchers * dispatcher + agents * agent + SPARE;
}
