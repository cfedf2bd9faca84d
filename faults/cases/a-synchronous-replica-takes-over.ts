// A primary dies under load and its synchronous replica takes over: every message that was accepted is there, and mail moves
// again within seconds. Then the old primary comes back as it was, and a part of Postlane's connections is led to it for
// some seconds: nothing may be sent again by what it remembers.

import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.ts";
import { makeReplicatedServers, type PostgresServer, type ReplicatedServers } from "../rig/replicated-servers.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** Under load, before the primary dies and after the old one came back. */
const LOAD_MS = 1500;
/** For so long, connections are cut at this pace, and every second new one is led to the old primary. */
const ASTRAY_MS = 4000;
const ASTRAY_CUT_MS = 500;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "guarded"],
  what:
    "The primary killed under load, its synchronous replica promoted; then the old primary started again as it was, and " +
    "every second connection of Postlane's led to it for 4 s",
  unit: "failovers",
  small: 1,
  full: 20,
  recoveryMsMax: 30_000,
  needs: ["postgresql-15"],
  async run({ runs, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const servers = await makeReplicatedServers(scope);
    const { databaseUrl, siteUrl } = servers;
    const world = await bringUpWorld(scope, { name: "failover", say, databaseUrl, siteUrl, isFull, ledgersIn });
    let ledAstray = 0;
    for (let run = 1; run <= runs; run++) {
      await servers.attachReplica({ isSynchronous: true });
      await world.untilRecovered(wallMs());
      await sleep(LOAD_MS);
      const old = await failOver({ world, servers, tally }, (ms) =>
        say(`failover ${run} of ${runs}: mail again after ${Math.round(ms)} ms`),
      );
      ledAstray += await comeBack(old, { world, servers }, run);
      say(`failover ${run} of ${runs}: the old primary came back, ${ledAstray} connections led to it so far`);
      await world.untilRecovered(wallMs());
      old.throwAway();
      tally.ran();
    }
    tally.judged(await world.judge());
    await world.stop();
    tally.expect(ledAstray > 0, "no connection was ever led to an old primary: nothing was tried of it");
    tally.note(`${ledAstray} connections of Postlane's were led to an old primary that had come back`);
    return tally.outcome();
  },
};

interface Scene {
  readonly world: World;
  readonly servers: ReplicatedServers;
}

async function failOver(
  { world, servers, tally }: Scene & { readonly tally: Tally },
  recovered: (ms: number) => void,
): Promise<PostgresServer> {
  const pausedMsBefore = world.pausedMs();
  const killedAtMs = wallMs();
  servers.killPrimary();
  const old = await servers.promote();
  const ms = (await world.untilRecovered(killedAtMs)) - killedAtMs;
  tally.recovered(ms, world.pausedMs() > pausedMsBefore);
  recovered(ms);
  return old;
}

/**
 * It still waits for a replica that is none of its own any more, so its commits hang; who sees that, or a tool that sees
 * it for him, tells it to go on alone. Every second time it is told so: that is the worse half of split brain. Answers how
 * many connections were led to it.
 */
async function comeBack(old: PostgresServer, { servers: { address } }: Scene, run: number): Promise<number> {
  await old.start();
  if (run % 2 === 1) {
    await old.tell("ALTER SYSTEM RESET synchronous_standby_names");
    await old.tell("SELECT pg_reload_conf()");
  }
  const before = address.ledAstray;
  address.leadAstrayTo(old.socketPath);
  for (const deadline = performance.now() + ASTRAY_MS; performance.now() < deadline;) {
    address.cut();
    await sleep(ASTRAY_CUT_MS);
  }
  address.leadAstrayTo(undefined);
  old.kill();
  return address.ledAstray - before;
}
