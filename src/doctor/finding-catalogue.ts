// All that `postlane doctor` may find, under stable codes: how grave it is, what it means and what to do. The parts are
// beside this file; docs/guides/doctor.md is made of it, and a test compares.

import { DATABASE_FINDINGS } from "./catalogue-database.ts";
import { DOCTOR_FINDINGS } from "./catalogue-doctor.ts";
import { ENGINE_FINDINGS } from "./catalogue-engine.ts";
import { MACHINE_FINDINGS } from "./catalogue-machine.ts";
import { RELAY_FINDINGS } from "./catalogue-relays.ts";

export const FINDINGS = {
  ...DOCTOR_FINDINGS,
  ...DATABASE_FINDINGS,
  ...ENGINE_FINDINGS,
  ...RELAY_FINDINGS,
  ...MACHINE_FINDINGS,
} as const;

export type FindingCode = keyof typeof FINDINGS;
