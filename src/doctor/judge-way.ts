// What the facts of the way to the server mean: straight, or through a pooler, and of which kind. Pure.

import type { WayFacts } from "../postgres/probe-way.ts";
import { finding, type Finding } from "./finding.ts";

/** The gravest alone: the others follow from it. */
export function judgeWay(way: WayFacts): readonly Finding[] {
  if (way.optionsRefused !== undefined) {
    return [finding("pooler_refuses_settings", `the way to the database says: ${way.optionsRefused}`)];
  }
  const broken = brokenBy(way);
  if (broken.length > 0) {
    const found = `${broken.join(", ")}: a pooler in transaction mode is between us and PostgreSQL`;
    return [finding("pooler_shares_sessions", found)];
  }
  if (!way.hasOptions) {
    return [finding("pooler_drops_settings", "the startup options of our sessions did not reach the server")];
  }
  if (!way.isAnnouncedPid) {
    const found = "the session is answered by another process than the one that its greeting named";
    return [finding("pooler_in_between", found)];
  }
  return [];
}

function brokenBy({ isBackendOwn, isSettingKept, isPreparedKept }: WayFacts): readonly string[] {
  return [
    ...(isBackendOwn ? [] : ["two sessions share one backend"]),
    ...(isSettingKept ? [] : ["a setting of a session was lost"]),
    ...(isPreparedKept ? [] : ["a prepared statement was lost"]),
  ];
}

/** Whether more of the database can be asked by this way. */
export function isWayUsable({ optionsRefused, isBackendOwn, isPreparedKept }: WayFacts): boolean {
  return optionsRefused === undefined && isBackendOwn && isPreparedKept;
}
