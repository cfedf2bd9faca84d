// `plug`: bulk to living destinations through a real Postfix, without and with as much to dead ones, and single
// transactional messages meanwhile. Once by Postlane, with the instances that `postlane postfix init` makes, and once by
// the same mail pushed into one Postfix that nobody governs. The dead: a third refuses, a third stays silent, a third
// answers 4yz.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { embeddedConfig } from "../src/postgres/database.ts";
import { findEmbedded } from "../src/postgres/embedded.ts";
import { postfixLack } from "../test/rig/postfix.ts";
import { startPostfixInstances, type PostfixInstances, type RigInstance } from "../test/rig/postfix-instances.ts";
import { inScope, type Scope } from "../test/rig/scope.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { fillDomains } from "./fill.ts";
import { makeInstallation } from "./installation.ts";
import { SINGLE, startPlugHosts, type PlugHosts } from "./plug-hosts.ts";
import { quantile, round } from "./quantile.ts";

const FULL = { live: 50_000, dead: 50_000, destinations: 500 };
const QUICK = { live: 700, dead: 700, destinations: 20 };
type Sizes = typeof FULL;
const SINGLE_EVERY_MS = 100;
const LOOK_MS = 200;
const RUN_MS_MAX = 300_000;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const lack = postfixLack();
  if (lack !== undefined) throw new Error(`this benchmark needs ${lack}`);
  const sizes = quick ? QUICK : FULL;
  const measureBoth = async (name: string, how: typeof byPostlane) => {
    progress(`${name}: ${sizes.live} messages to ${sizes.destinations} living destinations`);
    const without = await how(sizes, false);
    progress(`${name}: and ${sizes.dead} more to ${sizes.destinations} dead ones`);
    return { without, with: await how(sizes, true) };
  };
  const postlane = await measureBoth("Postlane", byPostlane);
  const postfix = await measureBoth("one Postfix that nobody governs", byPostfixAlone);
  return report(sizes, postlane, postfix);
}

interface Run {
  /** Until the last living destination had its mail; null: it was not over in time. */
  readonly livePerS: number;
  readonly singlesMs: readonly number[];
  /** Attempts of the relays to reach a dead destination. */
  readonly attempts: number;
  readonly plugMax: number;
}

interface Both {
  readonly without: Run;
  readonly with: Run;
}

function report(sizes: Sizes, postlane: Both, postfix: Both): BenchReport {
  const p99 = (one: Run): number => quantile(one.singlesMs, 0.99);
  return {
    figures: {
      live_per_s_without: Math.round(postlane.without.livePerS),
      live_per_s_with: Math.round(postlane.with.livePerS),
      with_over_without: round(postlane.with.livePerS / postlane.without.livePerS),
      postfix_per_s_without: Math.round(postfix.without.livePerS),
      postfix_per_s_with: round(postfix.with.livePerS),
      postfix_with_over_without: round(postfix.with.livePerS / postfix.without.livePerS),
      transactional_p50_ms_without: quantile(postlane.without.singlesMs, 0.5),
      transactional_p50_ms_with: quantile(postlane.with.singlesMs, 0.5),
      transactional_p99_ms_without: p99(postlane.without),
      transactional_p99_ms_with: p99(postlane.with),
      transactional_p99_ratio: round(p99(postlane.with) / p99(postlane.without)),
      attempts_per_stuck_message: round(postlane.with.attempts / sizes.dead),
      plug_in_relay_max: postlane.with.plugMax,
    },
    bars: [
      { key: "with_over_without", op: ">=", value: 0.9 },
      { key: "transactional_p99_ratio", op: "<=", value: 2 },
      { key: "attempts_per_stuck_message", op: "<=", value: 2 },
    ],
    notes: ["Single messages are timed from their commit to the next hop behind their relay."],
  };
}

function byPostlane(sizes: Sizes, withDead: boolean): Promise<Run> {
  return inScope(async (scope) => {
    const hosts = await startPlugHosts(scope, { live: sizes.destinations, dead: sizes.destinations });
    const relays = await startPostfixInstances(scope, { routes: hosts.routes });
    const yaml = `${relays.yaml}\nreturns: { domain: returns.test }\nlisten: { http: "127.0.0.1:0", returns: "127.0.0.1:0" }\n`;
    return await measure(scope, { yaml, relays, hosts, sizes, withDead });
  });
}

/** Its own defaults and timers, no gauge, no return path: pushed in as fast as it takes it. */
function byPostfixAlone(sizes: Sizes, withDead: boolean): Promise<Run> {
  return inScope(async (scope) => {
    const hosts = await startPlugHosts(scope, { live: sizes.destinations, dead: sizes.destinations });
    const relays = await startPostfixInstances(scope, {
      instances: { alone: "bulk" },
      routes: hosts.routes,
      mainCf: OWN_DEFAULTS,
    });
    const { host, port } = relays.get("alone");
    const yaml = [
      "lanes: { transactional: { outlets: [alone] }, bulk: { outlets: [alone] } }",
      `outlets: { alone: { type: smtp, hosts: ["${host}:${port}"] } }`,
      'listen: { http: "127.0.0.1:0" }',
    ].join("\n");
    return await measure(scope, { yaml, relays, hosts, sizes, withDead });
  });
}

/** Where Postlane's instances differ from what Postfix does by itself and it bears on the plug (postconf -d). */
const OWN_DEFAULTS = {
  maximal_queue_lifetime: "5d",
  bounce_queue_lifetime: "5d",
  minimal_backoff_time: "300s",
  maximal_backoff_time: "4000s",
  queue_run_delay: "300s",
  default_process_limit: "100",
  smtp_connect_timeout: "30s",
  smtp_helo_timeout: "300s",
  smtp_mail_timeout: "300s",
  smtp_rcpt_timeout: "300s",
  smtp_destination_concurrency_limit: "20",
  initial_destination_concurrency: "5",
};

interface Given {
  readonly yaml: string;
  readonly relays: PostfixInstances;
  readonly hosts: PlugHosts;
  readonly sizes: Sizes;
  readonly withDead: boolean;
}

async function measure(scope: Scope, { yaml, relays, hosts, sizes, withDead }: Given): Promise<Run> {
  const installation = makeInstallation(scope, "plug");
  installation.configure(yaml);
  const supervisor = await installation.up();
  const client = await connectSite(scope, installation.dataDir);
  const dead = withDead ? [{ domains: hosts.deadDomains, rows: sizes.dead }] : [];
  await fillDomains(client, "news", [{ domains: hosts.liveDomains, rows: sizes.live }, ...dead]);
  const singles = startSingles(client, hosts.liveDomains);
  const startedAt = performance.now();
  await client.query("UPDATE postlane.campaign SET status = 'running'");
  let plugMax = 0;
  let look = await hosts.look();
  while (look.live < sizes.live && performance.now() - startedAt < RUN_MS_MAX) {
    await sleep(LOOK_MS);
    plugMax = Math.max(plugMax, deferredIn(relays.all));
    look = await hosts.look();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const committed = await singles.stop();
  await sleep(1000);
  const taken = new Map((await hosts.look()).singles);
  const attempts = relays.all.reduce((sum, relay) => sum + attemptsIn(relay), 0);
  await supervisor.stop();
  const singlesMs = [...committed].map(([recipient, atMs]) => (taken.get(recipient) ?? Infinity) - atMs);
  return { livePerS: look.live / seconds, singlesMs, attempts, plugMax };
}

async function connectSite(scope: Scope, dataDir: string): Promise<pg.Client> {
  const embedded = await findEmbedded(dataDir);
  if (embedded === undefined) throw new Error("the database does not run");
  const client = new pg.Client(embeddedConfig(embedded));
  client.on("error", () => {}); // The server is stopped before the scope ends.
  await client.connect();
  scope.after(() => client.end().catch(() => {}));
  return client;
}

function startSingles(client: pg.Client, domains: readonly string[]) {
  const committed = new Map<string, number>();
  let isStopped = false;
  const sending = (async () => {
    for (let n = 0; !isStopped; n++) {
      const to = `${SINGLE}${n}@${domains[n % domains.length]}`;
      const email = { to, subject: "Your password", text: "Here is your link." };
      await client.query("SELECT postlane.enqueue($1)", [JSON.stringify(email)]);
      committed.set(to, performance.timeOrigin + performance.now());
      await sleep(SINGLE_EVERY_MS * (0.5 + Math.random()));
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await sending;
      return committed;
    },
  };
}

function deferredIn(relays: readonly RigInstance[]): number {
  return relays.reduce((sum, { queueDir }) => sum + filesBelow(path.join(queueDir, "deferred")), 0);
}

function filesBelow(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  } catch {
    return 0; // A file that moved meanwhile.
  }
}

function attemptsIn({ logFile }: RigInstance): number {
  const log = readFileSync(logFile, "latin1");
  return log.split("\n").filter((line) => line.includes(".dead.test>") && line.includes(" status=deferred")).length;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
