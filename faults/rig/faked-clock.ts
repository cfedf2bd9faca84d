// A clock that can be set while processes run: libfaketime, preloaded into them, reads the offset from a file at every look.
// What measures intervals (the monotonic clock) stays true, as when a machine's clock is corrected.

import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Scope } from "../../test/rig/scope.ts";
import { pathOf } from "./tools.ts";

export interface FakedClock {
  /** Variables of the processes whose clock it is. */
  readonly env: Readonly<Record<string, string>>;
  /** How far it is ahead of the true time. */
  readonly offsetMs: number;
  set(offsetMs: number): void;
}

/** `isThreaded`: for programs with threads, such as Node. */
export function createFakedClock(scope: Scope, { isThreaded }: { readonly isThreaded: boolean }): FakedClock {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-clock-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  // A server that runs as another user reads it, too.
  chmodSync(folder, 0o755);
  const file = path.join(folder, "offset");
  let offset = 0;
  const set = (offsetMs: number): void => {
    offset = offsetMs;
    // In one step: half a file would be another time.
    const seconds = offsetMs / 1000;
    writeFileSync(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  };
  set(0);
  const library = pathOf("faketime");
  return {
    env: {
      LD_PRELOAD: isThreaded ? library.replace("libfaketime.so", "libfaketimeMT.so") : library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      DONT_FAKE_MONOTONIC: "1",
    },
    get offsetMs() {
      return offset;
    },
    set,
  };
}
