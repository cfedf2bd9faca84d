// What a lane's mail says of unsubscribing, by the configuration. Pure.

import type { Config } from "../platform/config.ts";

/**
 * `offered`: each message says where to unsubscribe; `not_bulk`: the lane's mail says nothing of it; `kept_here`: bulk
 * without `public_url`, but nothing leaves this machine; `missing`: bulk without `public_url`.
 */
export type UnsubscribeOffer = "offered" | "not_bulk" | "kept_here" | "missing";

/** A lane that this configuration does not have is refused by the database. */
export function offerOf({ publicUrl, lanes, outlets }: Config, laneName: string): UnsubscribeOffer {
  const lane = lanes[laneName];
  if (lane === undefined || lane.priority !== "bulk") return "not_bulk";
  if (publicUrl !== undefined) return "offered";
  return lane.outlets.some((name) => outlets[name]?.type !== "capture") ? "missing" : "kept_here";
}
