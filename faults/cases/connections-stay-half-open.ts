// Connections that die without a word, in the middle of a session: the timer of the phase ends each of them, what it carried
// is as safe as it was, and mail to everybody else goes on through the same outlet. In a network of its own, where packets
// can be dropped, the same is done to the client alone, with slow links and peers that stop reading.

import type { Fault } from "../fault.ts";
import { tryBlackHoles } from "../rig/black-holes.ts";
import { startStallingProxy, STALLS, type Stall, type StallingProxy } from "../rig/stalling-proxy.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** One for each phase, all different, so that none can fire for another's; all scaled down from minutes. */
const TIMERS_MS: Readonly<Record<Stall, number>> = {
  banner: 1000,
  ehlo: 1200,
  mail: 1400,
  rcpt: 1600,
  data: 1800,
  dot: 2000,
};
/** A timer may fire this much late. */
const LATE_SHARE = 0.05;
const LATE_MS = 250;
/** And so much early, as the proxy sees it: it notes what it wrote, and the client may have waited by then. */
const SEEN_LATE_MS = 20;
/** No destination waits for another: the longest silence of all mail while a connection is dead. */
const GAP_MS_MAX = 1500;
/** In a small run the machine has other work, too: what is shown there is that each timer fires, and not how exactly. */
const SLACK_MS_SMALL = 3000;
/** Connections end at this age, so that new ones are made all the time, and begin with a banner. */
const AGE = "1 s";

export const fault: Fault = {
  promises: ["apart", "unknown", "no_duplicate"],
  what: "Connections that go dead at each phase, packets dropped in the middle of a session, peers that stop reading, slow links",
  unit: "dead connections",
  small: STALLS.length,
  full: STALLS.length * 10,
  needs: ["may-unshare", "ip", "nft"],
  async run({ runs, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const slackMs = isFull ? 0 : SLACK_MS_SMALL;
    const alone = await tryBlackHoles(scope, slackMs);
    for (const sentence of alone.complaints) tally.complain(sentence);
    for (const sentence of alone.notes) tally.note(sentence);
    say("tried in a network of its own");
    let proxy: StallingProxy | undefined;
    const timers = STALLS.map((stall) => `${stall}: "${TIMERS_MS[stall]} ms"`).join(", ");
    const world = await bringUpWorld(scope, {
      name: "half-open",
      say,
      outletConfig: `connection_age: "${AGE}", timeouts: { ${timers} }`,
      relayPort: async (sinkPort) => (proxy = await startStallingProxy(scope, sinkPort)).port,
      isFull,
      ledgersIn,
    });
    let [latestMs, longestGapMs] = [0, 0];
    for (let run = 0; run < runs; run++) {
      const stall = STALLS[run % STALLS.length]!;
      const { lateMs, gapMs } = await stallOnce({ world, proxy: proxy!, tally, slackMs }, stall);
      say(`${stall}: the timer was ${Math.round(lateMs)} ms late, the longest gap was ${Math.round(gapMs)} ms`);
      latestMs = Math.max(latestMs, lateMs);
      longestGapMs = Math.max(longestGapMs, gapMs);
    }
    tally.note(
      `timers fired at most ${Math.round(latestMs)} ms late; the longest gap in all mail was ${Math.round(longestGapMs)} ms`,
    );
    tally.judged(await world.judge());
    await world.stop();
    return tally.outcome();
  },
};

interface Stage {
  readonly world: World;
  readonly proxy: StallingProxy;
  readonly tally: Tally;
  readonly slackMs: number;
}

async function stallOnce(
  { world, proxy, tally, slackMs }: Stage,
  stall: Stall,
): Promise<{ readonly lateMs: number; readonly gapMs: number }> {
  await world.untilRecovered(wallMs());
  const beganAtMs = wallMs();
  const { sinceMs, untilMs, recipient } = await Promise.race([proxy.stallNext(stall), world.supervisor.unexpectedEnd]);
  const tookMs = untilMs - sinceMs;
  const wanted = TIMERS_MS[stall];
  const lateMs = tookMs - wanted;
  tally.ran();
  const allowedMs = Math.max(LATE_MS, wanted * LATE_SHARE) + slackMs + world.pausedMs();
  if (lateMs < -SEEN_LATE_MS || lateMs > allowedMs) {
    const story = recipient === undefined ? "it had named nobody" : await world.tell(recipient);
    tally.complain(`${stall}: its timer of ${wanted} ms fired after ${Math.round(tookMs)} ms; ${story}`);
  }
  const gapMs = longestGap(world, beganAtMs, wallMs());
  tally.expect(gapMs <= GAP_MS_MAX + slackMs, `${stall}: no mail at all arrived for ${Math.round(gapMs)} ms`);
  return { lateMs, gapMs };
}

/** Of all receptions between these moments. */
function longestGap(world: World, fromMs: number, toMs: number): number {
  world.look();
  const times = world.receptions.map(({ atMs }) => atMs).filter((atMs) => atMs >= fromMs && atMs <= toMs);
  const all = [fromMs, ...times.toSorted((one, other) => one - other), toMs];
  return Math.max(...all.slice(1).map((atMs, index) => atMs - all[index]!));
}
