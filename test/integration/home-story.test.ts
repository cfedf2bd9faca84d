// The plug comes home, from end to end: both lanes through their own Postfix instances, some of the world's servers dead
// for a while. What a relay gave up comes home by its notice, waits as a row, and goes out again by the instance for
// retries when its destination answers; what is refused for good bounces; nothing arrives twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { booksOf, enqueueMany, until, watchBooks } from "../rig/lane-mail.ts";
import { needsPostfix } from "../rig/postfix.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { assertArrivedOnce, filesOf, readingOf, startHome, untilEach, type Home } from "./home-rig.ts";

/** Seconds in place of minutes; nothing else of the instances is changed. */
const SHORT_LIFE = {
  maximal_queue_lifetime: "4s",
  bounce_queue_lifetime: "4s",
  minimal_backoff_time: "3s",
  maximal_backoff_time: "3s",
  queue_run_delay: "1s",
};
/** A failing destination is probed 15 s after its failure. */
const HOME_MS_MAX = 100_000;

test(
  "what a relay gives up comes home and is delivered in the end, each message once",
  { timeout: 200_000 },
  async (t) => {
    if (!needsPostfix(t)) return;
    let isPutOff = true;
    const live = await startScriptedSink(t, {
      answer: ({ verb, recipient }) => {
        if (verb !== "RCPT") return undefined;
        if (recipient.startsWith("nobody")) return "550 5.1.1 no such user";
        return isPutOff && recipient.endsWith("@grey.test") ? "451 4.7.1 come back later" : undefined;
      },
    });
    const dead = await startScriptedSink(t);
    await dead.stop();
    const at = (host: string, { port }: { readonly port: number }) => ({ host, port });
    const home = await startHome(t, {
      mainCf: SHORT_LIFE,
      routes: { "dead.test": at("127.0.0.1", dead) },
      relayTo: at("127.0.0.1", live),
      configure: ({ lanes, outlets }) => ({
        lanes: {
          transactional: { ...lanes["transactional"], retry: ["1 s"] },
          bulk: { ...lanes["bulk"], retry: { first: "1 s", factor: 1, cap: "1 s", jitter: 0 } },
        },
        outlets,
      }),
    });
    const { pool } = home;
    const books = watchBooks(pool);
    const to = (lane: string, count: number, name: string, domain: string) =>
      Array.from({ length: count }, (_, n) => ({ lane, to: `${name}-${lane}-${n}@${domain}` }));
    const delivered = [
      ...to("transactional", 20, "user", "live.test"),
      ...to("bulk", 40, "user", "live.test"),
      ...to("bulk", 3, "user", "other.test"),
    ];
    const bounced = [...to("transactional", 2, "nobody", "live.test"), ...to("bulk", 2, "nobody", "live.test")];
    const stuck = [
      ...to("transactional", 2, "user", "dead.test"),
      ...to("bulk", 2, "user", "grey.test"),
      ...to("transactional", 1, "user", "grey.test"),
    ];
    await enqueueMany(pool, [...delivered, ...bounced, ...stuck]);

    // All that one probe may not be sent for waits as a row.
    await until("what is stuck came home", async () => {
      const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.event WHERE kind = 'deferred'");
      return rows[0].n >= 3;
    });
    await dead.start();
    isPutOff = false;
    await untilEach(
      home,
      ({ recipient, state }) => state === (recipient.startsWith("nobody") ? "bounced" : "delivered"),
      HOME_MS_MAX,
    );

    assertArrivedOnce(
      [...delivered, ...stuck].map((email) => email.to),
      live,
      dead,
    );
    assert.deepEqual(await booksOf(pool), { delivered: delivered.length + stuck.length, bounced: bounced.length });
    await books.stop();
    await assertWentByRetries(home);
    await untilRelaysAreEmpty(home);
    assert.equal(await home.supervisor.stop(), 0);
  },
);

/** Each message that was stuck: through its relay, home, out again by the retries' instance, delivered. */
async function assertWentByRetries({ pool }: Home): Promise<void> {
  const { rows } = await pool.query<{ readonly recipient: string; readonly story: readonly string[] }>(
    `SELECT m.recipient, array_agg(e.attempt || ' ' || e.kind || ' ' || coalesce(e.outlet, '-') ORDER BY e.at) AS story
     FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id
     WHERE m.recipient LIKE '%@dead.test' OR m.recipient LIKE '%@grey.test' GROUP BY m.id`,
  );
  assert.equal(rows.length, 5);
  for (const { recipient, story } of rows) {
    const told = `${recipient}:\n${story.join("\n")}`;
    const attempts = Number(story.at(-1)!.split(" ")[0]);
    const sent = story.filter((line) => line.includes(" sent "));
    assert.equal(sent.length, attempts, told);
    assert.ok(attempts <= 2, told);
    assert.match(story.at(-1)!, /^\d delivered /, told);
    if (attempts > 1) assert.equal(sent.at(-1), "2 sent retries", told);
  }
  assert.ok(rows.filter(({ story }) => story.some((line) => line.startsWith("1 deferred "))).length >= 3);
}

async function untilRelaysAreEmpty({ instances, pool }: Home): Promise<void> {
  await until("no relay holds anything, and the readings say so", async () => {
    for (const instance of instances.all) {
      const { queue, deferred } = filesOf(instance);
      const reading = await readingOf(pool, instance.name);
      if (queue + deferred + (reading?.queue ?? 1) + (reading?.deferred ?? 1) > 0) return false;
    }
    return true;
  });
  for (const instance of instances.all) assert.deepEqual(instance.notices(), [], "every notice was taken and deleted");
}
