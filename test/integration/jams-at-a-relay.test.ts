// Five jams at a relay of our own, a real Postfix with an instance for retries as `postlane postfix init` makes them, and
// the agents beside them: a slow disk, a relay that is stopped, an agent that is silent, and destinations that are dead by
// what the relay's log tells. `explain` names each one first within 5 s, and takes it back within 10 s of its end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { processesOf, sendSignal } from "../../bench/running-processes.ts";
import { makeSlowDisk } from "../../bench/slow-disk.ts";
import { provoke, startEngine, type EngineUnderTest, type Jam } from "../rig/jam.ts";
import { enqueueMany, until } from "../rig/lane-mail.ts";
import { needs } from "../rig/needs.ts";
import { needsPostfix } from "../rig/postfix.ts";
import { startPostfixInstances, type PostfixInstances } from "../rig/postfix-instances.ts";
import { inScope } from "../rig/scope.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";

const LIVE = ["a.example", "b.example"];
const ONE = "dead.example";
const PROVIDER = ["one.provider.example", "two.provider.example", "three.provider.example"];
/** A disk that somebody else has all to himself. */
const SLOW_FSYNC_MS = 150;

test("what happens to a relay of our own is named within five seconds, and taken back", async (t) => {
  if (!needsPostfix(t) || !needs(t, "cc")) return;
  await inScope(async (scope) => {
    const disk = await makeSlowDisk(scope, 0);
    assert.ok(!("missing" in disk));
    const world = await startScriptedSink(scope);
    const [one, provider] = [await startScriptedSink(scope), await startScriptedSink(scope)];
    const at = (sink: ScriptedSink, host: string) => ({ host, port: sink.port });
    const relays = await startPostfixInstances(scope, {
      instances: { bulk: "bulk", retries: "retries" },
      routes: {
        [ONE]: at(one, "127.0.0.1"),
        ...Object.fromEntries(PROVIDER.map((domain) => [domain, at(provider, "127.0.0.1")])),
      },
      relayTo: at(world, "127.0.0.1"),
      env: disk.env,
    });
    const everybody = [...LIVE, ONE, ...PROVIDER];
    let turn = 0;
    const engine = await startEngine(scope, {
      yaml: configuration(relays),
      env: disk.env,
      flow: () => ["ann", "bob"].map((user) => `${user}${turn}@${everybody[turn++ % everybody.length]}`),
    });
    await proveDestinations(engine, everybody);
    const bulk = relays.get("bulk");
    const jams: Readonly<Record<string, Jam>> = {
      "the relay is stopped": { code: "relay_unreachable", begin: () => bulk.stop(), end: () => bulk.start() },
      "the agent is silent": {
        code: "readings_stale",
        begin: () => signalAgent(engine, "SIGSTOP"),
        end: () => signalAgent(engine, "SIGCONT"),
      },
      "one destination is dead": {
        code: "destination_failing",
        isShort: true,
        begin: () => dies(engine, one, [ONE]),
        end: () => one.start(),
      },
      "all of a provider is dead": {
        code: "destinations_failing",
        also: ["destination_failing"],
        isShort: true,
        begin: () => dies(engine, provider, PROVIDER),
        end: () => provider.start(),
      },
      "the relay's disk is slow": {
        code: "disk_slow",
        async begin() {
          disk.become(SLOW_FSYNC_MS);
          await enqueueMany(
            engine.pool,
            Array.from({ length: 400 }, (_, n) => ({ to: `n${n}@${LIVE[n % 2]}`, lane: "bulk" })),
          );
        },
        end: () => disk.become(0),
      },
    };
    for (const [name, jam] of Object.entries(jams)) await t.test(name, (part) => provoke(part, engine, jam));
  });
});

/** No name server is asked whether the returns domain takes mail. */
function configuration(relays: PostfixInstances): string {
  const [bulk, retries] = [relays.get("bulk"), relays.get("retries")];
  return `from: "News <news@news.example>"
listen: { returns: off }
returns: { domain: returns.test }
resolvers: ["127.0.0.1:1"]
lanes: { transactional: { outlets: [bulk] }, bulk: { outlets: [bulk] } }
outlets:
  bulk:
    type: smtp
    hosts: ["127.0.0.1:${bulk.port}"]
    retry_outlet: retries
    gauge: { type: postfix, config_dir: ${bulk.configDir} }
  retries:
    type: smtp
    hosts: ["127.0.0.1:${retries.port}"]
    gauge: { type: postfix, config_dir: ${retries.configDir} }
`;
}

/** As after a campaign that went well: all of them have answered, and the relays told it. */
async function proveDestinations({ pool }: EngineUnderTest, domains: readonly string[]): Promise<void> {
  await enqueueMany(
    pool,
    domains.flatMap((domain) => [1, 2, 3, 4].map((n) => ({ to: `first${n}@${domain}`, lane: "bulk" }))),
  );
  await until("all destinations have answered", async () => {
    const { rows } = await pool.query(
      "SELECT count(*)::integer AS free FROM postlane.destination WHERE name = ANY ($1) AND successes >= 3",
      [domains],
    );
    return rows[0].free === domains.length;
  });
}

/** While mail is on its way to it. */
async function dies({ pool }: EngineUnderTest, sink: ScriptedSink, domains: readonly string[]): Promise<void> {
  await sink.stop();
  await enqueueMany(
    pool,
    domains.map((domain) => ({ to: `late@${domain}`, lane: "bulk" })),
  );
}

function signalAgent({ installation }: EngineUnderTest, signal: NodeJS.Signals): void {
  const agents = processesOf(installation.folder).filter(({ command }) => command.includes(" agent --outlet bulk "));
  assert.equal(agents.length, 1);
  for (const { pid } of agents) sendSignal(pid, signal);
}
