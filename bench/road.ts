// `road`: from the first byte of the import to the last message settled, beside the peers that do a part of it.

import { startPostfix, postfixLack } from "../test/rig/postfix.ts";
import { inScope } from "../test/rig/scope.ts";
import { startSmtpSink } from "../test/rig/smtp-sink.ts";
import { peerFigure, type BenchOptions, type BenchReport, type PeerResult } from "./bench-result.ts";
import { MESSAGE_BYTES } from "./newsletter.ts";
import { measureNodemailerPooled } from "./peers/nodemailer-pooled.ts";
import { measureOwnClient } from "./peers/own-client.ts";
import { measurePostfixRelay } from "./peers/postfix-relay.ts";
import { runRoad, type RoadFigures } from "./road-run.ts";

const FULL = { road: 200_000, ceiling: 200_000, nodemailer: 20_000, postfix: 10_000, throughPostfix: 10_000 };
const QUICK = { road: 100_000, ceiling: 100_000, nodemailer: 4_000, postfix: 2_500, throughPostfix: 2_500 };
const CONNECTIONS = 20;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  const load = (messages: number) => ({ messages, messageBytes: MESSAGE_BYTES, connections: CONNECTIONS });

  progress(`our SMTP client alone: ${sizes.ceiling} messages`);
  const ceiling = await measureOwnClient(load(sizes.ceiling));
  progress(`the road: ${sizes.road} messages into smtp-sink`);
  const road = await intoSink(sizes.road);
  progress(`Nodemailer, pooled: ${sizes.nodemailer} messages`);
  const nodemailer = await measureNodemailerPooled(load(sizes.nodemailer));
  progress(`Postfix as a relay: ${sizes.postfix} messages`);
  const postfix = await measurePostfixRelay(load(sizes.postfix));
  progress(`the road through that Postfix: ${sizes.throughPostfix} messages`);
  const through = await throughPostfix(sizes.throughPostfix);

  const perS = Math.round(road.perS);
  return {
    figures: {
      postlane_per_s: perS,
      import_s: round(road.importS),
      postfix_per_s: peerFigure(postfix),
      nodemailer_per_s: peerFigure(nodemailer),
      ceiling_per_s: peerFigure(ceiling),
      through_postfix_per_s: through,
      vs_postfix: over(perS, postfix),
      vs_nodemailer: over(perS, nodemailer),
      vs_ceiling: over(perS, ceiling),
      rss_mb_max: road.rssMbMax,
      gb_per_million: round(road.gbPerMillion),
    },
    bars: [
      { key: "vs_postfix", op: ">=", value: 15 },
      { key: "vs_ceiling", op: ">=", value: 0.35 },
      { key: "rss_mb_max", op: "<=", value: 200 },
    ],
    notes: [],
  };
}

function intoSink(messages: number): Promise<RoadFigures> {
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    return await runRoad(scope, sink, messages, { relay: sink });
  });
}

function throughPostfix(messages: number): Promise<number | string> {
  const missing = postfixLack();
  if (missing !== undefined) return Promise.resolve(`missing: ${missing}`);
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const postfix = await startPostfix(scope, { relayTo: sink });
    const road = await runRoad(scope, sink, messages, { relay: postfix });
    return Math.round(road.perS);
  });
}

export function over(perS: number, peer: PeerResult): number | null {
  return "perS" in peer ? round(perS / peer.perS) : null;
}

function round(figure: number): number {
  return Math.round(figure * 100) / 100;
}
