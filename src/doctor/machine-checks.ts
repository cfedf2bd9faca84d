// The checks of this machine and of our files on it. Reads only.

import { readFiles } from "./file-facts.ts";
import { judgeFiles } from "./judge-files.ts";
import { judgeMachine, needsOf } from "./judge-machine.ts";
import { readMachine } from "./machine-facts.ts";
import { looked, type Check } from "./run-checks.ts";
import type { Surroundings } from "./surroundings.ts";

export function machineChecks({ config, clock, uid }: Surroundings): readonly Check[] {
  return [
    {
      name: "machine",
      look: async () => looked(judgeMachine(await readMachine(), needsOf(config), clock.wallMs())),
    },
    {
      name: "files",
      look: async () => {
        const { dataDir, queue } = config;
        const needs = { dataDir, uid, freeDiskBytesMin: queue.freeDiskBytesMin, nowMs: clock.wallMs() };
        return looked(judgeFiles(await readFiles(config), needs));
      },
    },
  ];
}
