// Mail flows while its relay is stopped and started, its agent is killed, and its log is rotated, also while no agent
// runs: every message is delivered in the end, its state says so, and Postlane hands none over twice.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { renameSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import type { Pool } from "pg";
import { sendSignal } from "../../bench/running-processes.ts";
import { booksOf, enqueueMany, until, watchBooks } from "../rig/lane-mail.ts";
import { needsPostfix } from "../rig/postfix.ts";
import type { RigInstance } from "../rig/postfix-instances.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";
import {
  arrivalsAt,
  assertArrivedOnce,
  filesOf,
  messagesIn,
  readingOf,
  startHome,
  untilEach,
  type Home,
} from "./home-rig.ts";

const run = promisify(execFile);

/** So that it takes some seconds: two deliveries at a time, this long each. */
const DELIVERY_MS = 15;
const DELIVERIES = "2";
/** What an outlet was to blame for is tried again after 15 s, perhaps twice. */
const SETTLED_MS_MAX = 60_000;

test(
  "a relay stopped, an agent killed, a log rotated: all is delivered, each once",
  { timeout: 200_000 },
  async (t) => {
    if (!needsPostfix(t)) return;
    const gate = createGate();
    const sink = await startScriptedSink(t, {
      answer: async ({ verb }) => {
        // Not after the final dot: a Postfix that is stopped then sends it again by itself.
        if (verb === "RCPT") await gate.pass();
        return undefined;
      },
    });
    const home = await startHome(t, {
      mainCf: {
        smtp_destination_concurrency_limit: DELIVERIES,
        queue_run_delay: "1s",
        minimal_backoff_time: "3s",
        maximal_backoff_time: "3s",
      },
      relayTo: { host: "127.0.0.1", port: sink.port },
      configure: ({ lanes, outlets }) => ({
        lanes: { ...lanes, bulk: { ...lanes["bulk"], retry: { first: "1 s", factor: 1, cap: "1 s", jitter: 0 } } },
        outlets,
      }),
    });
    const { pool, instances } = home;
    const bulk = instances.get("bulk");
    const transactional = instances.get("transactional");
    const books = watchBooks(pool);
    const accepted: string[] = [];
    const enqueue = async (lane: string, count: number): Promise<void> => {
      const from = accepted.length;
      const emails = Array.from({ length: count }, (_, n) => ({ lane, to: `user${from + n}@live.test` }));
      accepted.push(...emails.map(({ to }) => to));
      await enqueueMany(pool, emails);
    };

    await enqueue("bulk", 250);
    await enqueue("transactional", 50);
    await until("some of it has arrived", () => sink.accepted.length >= 80);

    await standStill(home, gate, sink);
    await enqueue("bulk", 100);
    await bulk.stop();
    await killAgent(home, "bulk");
    await bulk.start();
    gate.open();
    await until("the relay goes on", () => sink.accepted.length >= 160);

    // It compresses the old log at once: who does not follow then can never read its last lines.
    await untilAgentReads(pool, "bulk");
    await run("/usr/sbin/postfix", ["-c", bulk.configDir, "logrotate"]);
    await enqueue("transactional", 50);
    await rotateWithoutAgent(home, transactional);
    await until("it goes on", () => sink.accepted.length >= 240);
    await killAgent(home, "bulk");

    // A hand-over that the stop has cut may be unknown; then no relay holds it, or its log would tell.
    let [held, arrived] = [await messagesIn(instances), arrivalsAt(sink)];
    await untilEach(
      home,
      ({ id, recipient, state }) =>
        state === "delivered" || (state === "unknown" && !held.has(id) && !arrived.has(recipient)),
      SETTLED_MS_MAX,
      async () => void ([held, arrived] = [await messagesIn(instances), arrivalsAt(sink)]),
    );
    await home.run("unknown", "resend", "--all");
    await untilEach(home, ({ state }) => state === "delivered");
    assertArrivedOnce(accepted, sink);
    assert.deepEqual(await booksOf(pool), { delivered: accepted.length });
    await books.stop();
  },
);

interface Gate {
  pass(): Promise<void>;
  close(): void;
  open(): void;
}

/** While it is closed, deliveries stand still before their content. */
function createGate(): Gate {
  let opened = Promise.resolve();
  let release = (): void => {};
  return {
    async pass() {
      await opened;
      await new Promise((resolve) => setTimeout(resolve, DELIVERY_MS));
    },
    close: () => void (opened = new Promise((resolve) => (release = resolve))),
    open: () => release(),
  };
}

/**
 * In the middle of deliveries, but of none whose final dot the world's server has and Postfix's log not. What the agents
 * count is then what lies in the folders.
 */
async function standStill({ pool, instances }: Home, gate: Gate, sink: ScriptedSink): Promise<void> {
  gate.close();
  await until("what is past its dot is in a log", () => {
    const logged = instances.all.map((instance) => instance.log().match(/ status=sent /g)?.length ?? 0);
    return logged.reduce((sum, count) => sum + count, 0) === sink.accepted.length;
  });
  for (const instance of instances.all) {
    await until(`the reading of ${instance.name} is as its files`, async () => {
      const reading = await readingOf(pool, instance.name);
      const { queue, deferred } = filesOf(instance);
      return reading?.queue === queue && reading.deferred === deferred;
    });
  }
  assert.ok(filesOf(instances.get("bulk")).queue > 0);
}

async function killAgent({ processOf }: Home, outlet: string): Promise<void> {
  const { pid } = await processOf(`agent --outlet ${outlet}`);
  assert.ok(sendSignal(pid, "SIGKILL"));
  await until("the supervisor has started another one", async () => {
    return (await processOf(`agent --outlet ${outlet}`)).pid !== pid;
  });
}

/** The agent that is at work now has written a reading: it follows the log by then. */
async function untilAgentReads(pool: Pool, outlet: string): Promise<void> {
  const numberOf = async (): Promise<number> =>
    (await pool.query("SELECT number FROM postlane.reading WHERE outlet = $1", [outlet])).rows[0].number;
  const before = await numberOf();
  await until(`the agent of ${outlet} reads`, async () => (await numberOf()) > before);
}

/** By renaming, as logrotate(8) does. The agent is killed first, so that lines are in the old file that none has read. */
async function rotateWithoutAgent(home: Home, { logFile, configDir }: RigInstance): Promise<void> {
  const { pid } = await home.processOf("agent --outlet transactional");
  assert.ok(sendSignal(pid, "SIGKILL"));
  renameSync(logFile, `${logFile}.1`);
  await run("/usr/sbin/postfix", ["-c", configDir, "reload"]);
}
