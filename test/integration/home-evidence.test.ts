// Connections that are cut at the final dot, with the whole program: what the relay had is `sent` and delivered, what it
// had not is sent once more, and what nobody can tell stays `unknown` (policy hold). Nothing arrives twice.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { sendSignal } from "../../bench/running-processes.ts";
import { enqueueMany, until, watchBooks } from "../rig/lane-mail.ts";
import { startCuttingProxy, type Cut } from "../rig/cutting-proxy.ts";
import { needsPostfix } from "../rig/postfix.ts";
import type { RigInstance } from "../rig/postfix-instances.ts";
import { connectRaw, sendMail } from "../rig/raw-smtp.ts";
import { SILENCE, startScriptedSink } from "../rig/scripted-sink.ts";
import { assertArrivedOnce, startHome, untilEach, type Home } from "./home-rig.ts";

const LANE = "transactional";
/** Whose mail is cut, and where; each once. */
const CUTS: readonly (readonly [prefix: string, cut: Cut])[] = [
  ["before", "before the dot"],
  ["after", "after the reply"],
  ["at", "at the dot"],
  ["killed", "before the dot"],
];
const WAIT_MS_MAX = 60_000;

test("cut before, at and after the dot: each is delivered once, or stays unknown", { timeout: 200_000 }, async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startScriptedSink(t);
  const { home, enqueue } = await startCut(t, { relayTo: { host: "127.0.0.1", port: sink.port } });
  const { pool } = home;
  const books = watchBooks(pool);
  const cut = [...numbered("before", 4), ...numbered("after", 4), ...numbered("at", 6), "killed0"];
  // Each cut is a failure of the outlet, and what gets through ends it: probes in a row that fail are ever more seldom.
  const all = await enqueue(cut.flatMap((name, n) => [name, `whole${n}`]));

  const isKilled = (who: string): boolean => who.startsWith("killed");
  await untilEach(
    home,
    ({ recipient, state }) => state === (isKilled(recipient) ? "unknown" : "delivered"),
    WAIT_MS_MAX,
  );
  assertArrivedOnce(
    all.filter((who) => !isKilled(who)),
    sink,
  );
  for (const [who, story] of await storiesOf(pool)) {
    const told = `${who}: ${story.join(", ")}`;
    if (isKilled(who)) assert.deepEqual(story, ["1 unknown"], told);
    if (who.startsWith("before")) assert.deepEqual(story, SENT_AGAIN, told);
    if (who.startsWith("after")) assert.match(story.join(", "), AFTER_ALL, told);
  }
  await books.stop();
});

test("the same with the relay's active queue full", { timeout: 200_000 }, async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startScriptedSink(t);
  const silent = await startScriptedSink(t, { answer: ({ verb }) => (verb === "BANNER" ? SILENCE : undefined) });
  const { home, relay, enqueue } = await startCut(t, {
    relayTo: { host: "127.0.0.1", port: sink.port },
    routes: { "silent.test": { host: "127.0.0.1", port: silent.port } },
  });
  const { pool } = home;
  await relay.set({ qmgr_message_active_limit: "1" });
  await plug(relay);
  const [before, after] = await enqueue(["before0", "after0"]);

  // Its file is all that tells of it, and what was not accepted does not wait for the plug.
  await untilEach(home, ({ recipient, state }) => state === (recipient === after ? "sent" : "delivered"), WAIT_MS_MAX);
  assertArrivedOnce([before!], sink);
  assert.doesNotMatch(relay.log(), /from=<b\+/);
  const stories = await storiesOf(pool);
  assert.deepEqual(stories.get(before!), SENT_AGAIN);
  assert.deepEqual(stories.get(after!), ["1 unknown", "1 sent"]);

  await silent.stop();
  await untilEach(home, ({ state }) => state === "delivered");
  assertArrivedOnce([before!, after!], sink);
});

/** The log's line of the delivery may be read before the evidence is found. */
const AFTER_ALL = /^1 unknown, (?:1 sent, 1 delivered|1 delivered(?:, 1 late_sent)?)$/;
const SENT_AGAIN = ["1 unknown", "1 deferred", "2 sent", "2 delivered"];

const numbered = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);

interface CutHome {
  readonly home: Home;
  readonly relay: RigInstance;
  /** Answers the addresses. */
  enqueue(names: readonly string[]): Promise<readonly string[]>;
}

/** The lane's way to its relay is the proxy; retries have theirs without one. */
async function startCut(t: TestContext, options: Pick<Parameters<typeof startHome>[1] & object, "relayTo" | "routes">) {
  const done = new Set<string>();
  const home = await startHome(t, {
    ...options,
    async configure({ lanes, outlets }, instances) {
      const relay = instances.get(LANE);
      const proxy = await startCuttingProxy(t, {
        to: relay,
        async cutOf(recipient, port) {
          if (done.has(recipient)) return undefined;
          done.add(recipient);
          if (recipient.startsWith("killed")) await killSession(relay, port);
          return CUTS.find(([prefix]) => recipient.startsWith(prefix))?.[1];
        },
      });
      return {
        lanes: { ...lanes, [LANE]: { ...lanes[LANE], unknown: "hold" } },
        outlets: { ...outlets, [LANE]: { ...outlets[LANE], hosts: [`${proxy.host}:${proxy.port}`] } },
      };
    },
  });
  const enqueue: CutHome["enqueue"] = async (names) => {
    const addresses = names.map((name) => `${name}@live.test`);
    await enqueueMany(
      home.pool,
      addresses.map((to) => ({ lane: LANE, to })),
    );
    return addresses;
  };
  return { home, relay: home.instances.get(LANE), enqueue };
}

/** So it says no `disconnect`, and nobody can tell. */
async function killSession(relay: RigInstance, port: number): Promise<void> {
  const line = new RegExp(String.raw`smtpd\[(\d+)\]: connect from \S+:${port}$`, "gm");
  const pid = await until("the session is in the log", () => [...relay.log().matchAll(line)].at(-1)?.[1]);
  assert.ok(sendSignal(Number(pid), "SIGKILL"));
}

/** One mail that holds the only place in the active queue, and one that shows by waiting that it is full. */
async function plug(relay: RigInstance): Promise<void> {
  const smtp = await connectRaw(relay.host, relay.port);
  for (const n of [1, 2]) assert.match(await sendMail(smtp, "plug@shop.test", `stuck${n}@silent.test`), /^250/);
  smtp.cut();
  await until("the active queue is full", () => relay.log().includes("from=<plug@shop.test>"));
}

const TOLD = ["unknown", "deferred", "sent", "delivered", "bounced", "held", "late_sent", "late_deferred"];

/** Recipient → `attempt kind` of what changed its state, in order. */
async function storiesOf(pool: Pool): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await pool.query<{ readonly recipient: string; readonly story: readonly string[] }>(
    `SELECT m.recipient, array_agg(e.attempt || ' ' || e.kind ORDER BY e.at) AS story
     FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id AND e.kind = ANY ($1::text[]) GROUP BY m.id`,
    [TOLD],
  );
  return new Map(rows.map(({ recipient, story }) => [recipient, story]));
}
