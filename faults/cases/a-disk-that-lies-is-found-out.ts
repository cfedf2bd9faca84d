// The test of the test: the database lies on a disk that calls durable what it does not keep, and its power is cut under load.
// No product can keep its word on such a disk; so the judge of the fault runs must find what was lost, and `postlane doctor
// disk --witness`, tried on the same disk before, must have said that it lies. What the product lost is not counted against it.

import { setTimeout as sleep } from "node:timers/promises";
import { processesOf, sendSignal } from "../../bench/running-processes.ts";
import { inScope, type Scope } from "../../test/rig/scope.ts";
import type { Fault, FaultContext } from "../fault.ts";
import { CUT_TOOLS, makeCutVolume, type CutVolume } from "../rig/cut-volume.ts";
import { startOutsideServer, type OutsideServer } from "../rig/outside-server.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { COMPARE_TOOLS, startWitness, tryDisk } from "../rig/witness.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** Room for a server of its own, its log, and the records of the doctor. */
const MEGABYTES = 768;
/** More than the doctor asks for. */
const RECORDS_MIN = 300;
/** Under load, after the first mail has arrived. */
const LOAD_MS = 1500;

export const fault: Fault = {
  promises: ["durable"],
  what: "power cut of the database's volume under load, on a disk that lies: the rig must find the loss, and the doctor the lie",
  unit: "power cuts",
  small: 1,
  full: 5,
  needs: [...CUT_TOOLS, ...COMPARE_TOOLS],
  async run(context) {
    const { runs, say } = context;
    const tally = createTally();
    let [foundByDoctor, foundByJudge] = [0, 0];
    for (let cut = 1; cut <= runs; cut++) {
      const { doctor, judge } = await inScope((scope) => oneCut(scope, context));
      say(`cut ${cut} of ${runs}: the doctor: ${doctor.said}; the judge: ${judge.said}`);
      tally.note(`Cut ${cut}: the doctor: ${doctor.said}; the judge: ${judge.said}.`);
      if (doctor.isFound) foundByDoctor++;
      if (judge.isFound) foundByJudge++;
      tally.ran();
    }
    tally.expect(foundByDoctor > 0, `doctor disk --witness never said that the disk lies, in ${runs} power cuts`);
    tally.expect(foundByJudge > 0, `the judge never found a loss on a disk that keeps nothing, in ${runs} power cuts`);
    tally.note(
      `The doctor called the disk a liar in ${foundByDoctor} of ${runs} trials, and the judge found the loss in ` +
        `${foundByJudge} of ${runs} power cuts. On such a disk the product's own promise is void, so nothing is counted for it.`,
    );
    return tally.outcome();
  },
};

interface Found {
  readonly isFound: boolean;
  readonly said: string;
}

async function oneCut(scope: Scope, context: FaultContext): Promise<{ readonly doctor: Found; readonly judge: Found }> {
  const volume = await makeCutVolume(scope, { megabytes: MEGABYTES });
  const server = await startOutsideServer(scope, volume.folder);
  await server.migrate();
  // The server and its tables are kept, as they would be after a week; from here on, nothing is.
  await volume.cut();
  await volume.restore({ isLying: true });
  const doctor = await askDoctor(scope, volume);
  await server.startAgain();
  const world = await bringUpWorld(scope, {
    name: "lied-to",
    say: context.say,
    databaseUrl: server.databaseUrl,
    isFull: context.isFull,
    ledgersIn: context.ledgersIn,
  });
  await world.untilRecovered(wallMs());
  await sleep(LOAD_MS);
  await volume.cut();
  // What dispatchers do about a database that is gone is tried elsewhere; here they must not write into the restored one.
  world.supervisor.kill();
  for (const { pid } of processesOf(world.installation.folder)) sendSignal(pid, "SIGKILL");
  await world.submissions.stop();
  return { doctor, judge: await askJudge(world, volume, server) };
}

async function askDoctor(scope: Scope, volume: CutVolume): Promise<Found> {
  const { verdict, findings } = await tryDisk(scope, {
    witness: await startWitness(scope),
    volume,
    recordsMin: RECORDS_MIN,
  });
  return { isFound: verdict === "lies", said: verdict === "lies" ? findings[0]!.replace(/\.$/, "") : verdict };
}

/** A database that does not come up any more has lost everything. */
async function askJudge(world: World, volume: CutVolume, server: OutsideServer): Promise<Found> {
  const submitted = world.submissions.begun;
  const gone = await volume
    .restore()
    .then(() => server.startAgain())
    .then(() => undefined, firstLineOf);
  if (gone !== undefined) return { isFound: true, said: `the database is gone, with all ${submitted}: ${gone}` };
  const { lost } = (await world.judge()).verdict;
  return { isFound: lost > 0, said: `${lost} of ${submitted} that were submitted are lost` };
}

function firstLineOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
