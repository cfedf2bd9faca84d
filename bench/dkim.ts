// `dkim`: the road with an RSA-2048 signature on every message, against the number of bare signatures that this machine
// makes on all cores in the same run: on one process' thread pool or in one process for each core, whichever is more,
// before the road and after it, since machines have moods.

import { generateKeyPairSync } from "node:crypto";
import os from "node:os";
import path from "node:path";
import { inScope } from "../test/rig/scope.ts";
import { startSmtpSink } from "../test/rig/smtp-sink.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { forkChild } from "./forked-child.ts";
import type { RigOptions } from "./lane-rig.ts";
import { round } from "./quantile.ts";
import { runRoad } from "./road-run.ts";

const FULL = { messages: 150_000, limitMs: 5_000 };
const QUICK = { messages: 50_000, limitMs: 2_000 };
/** Kept and looked at first: a figure of unsigned mail would be none. */
const LOOKED_AT = 50;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  const dkimKey = makeKey();
  await checkSigned(dkimKey);
  progress("bare signatures on all cores");
  const before = await measureLimit(sizes.limitMs);
  progress(`the road, signed: ${sizes.messages} messages into smtp-sink`);
  const road = await inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    return await runRoad(scope, sink, sizes.messages, { relay: sink, dkimKey });
  });
  progress("bare signatures once more");
  const after = await measureLimit(sizes.limitMs);
  const limit = (before.perS + after.perS) / 2;
  return {
    figures: {
      dkim_road_per_s: Math.round(road.perS),
      sign_limit_per_s: Math.round(limit),
      vs_limit: round(road.perS / limit),
      rss_mb_max: road.rssMbMax,
    },
    bars: [{ key: "vs_limit", op: ">=", value: 0.7 }],
    notes: [
      `Bare signatures before: ${before.words}. After: ${after.words}.`,
      "Each message is imported, claimed, merged, signed, handed over and settled; the sink runs on the same cores.",
    ],
  };
}

function makeKey(): NonNullable<RigOptions["dkimKey"]> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { domain: "example.com", pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

function checkSigned(dkimKey: NonNullable<RigOptions["dkimKey"]>): Promise<void> {
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope, { keep: true });
    await runRoad(scope, sink, LOOKED_AT, { relay: sink, dkimKey });
    const signed = sink.kept().filter(({ content }) => content.toString("latin1").startsWith("DKIM-Signature: "));
    if (signed.length !== LOOKED_AT) throw new Error(`${signed.length} of ${LOOKED_AT} messages were signed`);
  });
}

interface Limit {
  readonly perS: number;
  readonly words: string;
}

async function measureLimit(ms: number): Promise<Limit> {
  const onPool = await signaturesPerS("pool", 1, ms);
  const onEachCore = await signaturesPerS("main", os.availableParallelism(), ms);
  const words = `${Math.round(onPool)}/s on one process' thread pool, ${Math.round(onEachCore)}/s by a process on each core`;
  return { perS: Math.max(onPool, onEachCore), words };
}

function signaturesPerS(how: "pool" | "main", processes: number, ms: number): Promise<number> {
  return inScope(async (scope) => {
    const file = path.join(import.meta.dirname, "sign-limit-main.js");
    const children = Array.from({ length: processes }, () => forkChild(scope, file, [how, String(ms)]));
    await Promise.all(children.map((child) => child.ask()));
    const figures = await Promise.all(children.map((child) => child.ask("begin")));
    return figures.reduce<number>((sum, figure) => sum + Number(figure), 0);
  });
}
