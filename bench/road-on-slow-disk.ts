// `slow-disk`: the road and Postfix on a disk on which every fsync takes 8 ms, one after another.

import { inScope } from "../test/rig/scope.ts";
import { startSmtpSink } from "../test/rig/smtp-sink.ts";
import { peerFigure, type BenchOptions, type BenchReport } from "./bench-result.ts";
import { MESSAGE_BYTES } from "./newsletter.ts";
import { measurePostfixRelay } from "./peers/postfix-relay.ts";
import { over } from "./road.ts";
import { runRoad } from "./road-run.ts";
import { makeSlowDisk } from "./slow-disk.ts";

const FULL = { road: 200_000, postfix: 3_000 };
const QUICK = { road: 50_000, postfix: 800 };

export function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  return inScope(async (scope) => {
    const disk = await makeSlowDisk(scope);
    if ("missing" in disk) throw new Error(`the slow disk is compiled with ${disk.missing}, which is not installed`);
    progress(`the road on this machine's own disk: ${sizes.road} messages`);
    const fast = await road(sizes.road, {});
    progress(`the road with ${disk.fsyncMs} ms per fsync`);
    const slow = await road(sizes.road, disk.env);
    progress(`Postfix with ${disk.fsyncMs} ms per fsync: ${sizes.postfix} messages`);
    const postfix = await measurePostfixRelay({
      messages: sizes.postfix,
      messageBytes: MESSAGE_BYTES,
      connections: 20,
      env: disk.env,
    });
    return {
      figures: {
        postlane_per_s: Math.round(slow),
        postfix_per_s: peerFigure(postfix),
        vs_postfix: over(slow, postfix),
        fast_disk_per_s: Math.round(fast),
        vs_fast_disk: Math.round((slow / fast) * 100) / 100,
      },
      bars: [
        { key: "vs_postfix", op: ">=", value: 80 },
        { key: "vs_fast_disk", op: ">=", value: 0.7 },
      ],
      notes: [],
    };
  });
}

function road(messages: number, databaseEnv: Readonly<Record<string, string>>): Promise<number> {
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const figures = await runRoad(scope, sink, messages, { relay: sink, databaseEnv });
    return figures.perS;
  });
}
