// Findings about the look itself: what could not be looked at, and why. Pure.

import type { Catalogue } from "./catalogue-entry.ts";

export const DOCTOR_FINDINGS = {
  check_late: {
    level: "problem",
    means: "a check did not end in its time: what it looks at hangs, or is very slow",
    remedy: "look at what the check is about; `postlane explain` says what stands still",
  },
  check_failed: {
    level: "warning",
    means: "a check could not be made, and nothing is known of what it is about",
    remedy: "mend what the message names, and run the doctor again",
  },
  config_invalid: {
    level: "problem",
    means: "no process of Postlane starts with this configuration; checks that need it were not made",
    remedy: "correct the key that is named; docs/reference/configuration.md has all",
  },
  config_unreadable: {
    level: "problem",
    means: "this user may not read the configuration, and checks that need it were not made",
    remedy: "run the doctor as the user whom Postlane runs as, or as root",
  },
} as const satisfies Catalogue;
