// Whether relays are measured, and by whom. Pure.

import type { Config } from "../platform/config.ts";
import type { ReadingView } from "../reports/engine-snapshot.ts";
import { finding, type Finding } from "./finding.ts";

/** A reading is written once a second; one that is older the governor does not go by. */
const READING_MS_MAX = 10_000;

export function judgeGauges(outlets: Config["outlets"], readings: readonly ReadingView[]): readonly Finding[] {
  return Object.values(outlets).flatMap((outlet) => {
    if (outlet.type !== "smtp" || outlet.gauge === undefined) return [];
    const { name } = outlet;
    const ageMs = readings.find((reading) => reading.outlet === name)?.ageMs;
    if (ageMs === undefined) return [finding("gauge_missing", `outlet ${name} was never measured`, { outlet: name })];
    if (ageMs <= READING_MS_MAX) return [];
    const age = Math.round(ageMs / 1000);
    return [finding("gauge_silent", `outlet ${name}: the last reading is ${age} s old`, { outlet: name, age_s: age })];
  });
}
