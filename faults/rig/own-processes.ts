// Which processes of Postlane's run in an installation, and which of them have ended since somebody looked.

import { setTimeout as sleep } from "node:timers/promises";
import type { Installation } from "../../bench/installation.ts";
import { processesOf } from "../../bench/running-processes.ts";
import { wallMs } from "./submissions.ts";
import { LANES, type World } from "./world.ts";

/** By process id: "dispatcher --lane bulk". */
export type OwnProcesses = ReadonlyMap<number, string>;

const LOOK_MS = 20;

/** Of a world with mail on all lanes: one that is still being started may end of a database that is away. */
export async function ownProcessesWhenReady(world: World): Promise<OwnProcesses> {
  await world.untilRecovered(wallMs(), LANES);
  for (;;) {
    const processes = ownProcesses(world.installation);
    const printed = world.supervisor.printed();
    const children = [...processes.values()].filter((name) => /^(?:front|agent)/.test(name));
    if (children.every((name) => printed.includes(`${name.replace("--outlet ", "")}: ready`))) return processes;
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
}

export function ownProcesses({ folder }: Pick<Installation, "folder">): OwnProcesses {
  return new Map(
    processesOf(folder).flatMap(({ pid, command }) => {
      const name = /main\.js (.*?) --config /.exec(command)?.[1];
      return name === undefined ? [] : [[pid, name]];
    }),
  );
}

/** Their names. */
export function endedSince(before: OwnProcesses, now: OwnProcesses): readonly string[] {
  return [...before].filter(([pid]) => !now.has(pid)).map(([, name]) => name);
}
