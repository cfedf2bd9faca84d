// What a relay has to say cannot be heard, or it cannot take anything: its agent is away for three of its lifetimes, its
// Maildir may not be written to or is full, its spool is full. Nothing is lost: it comes home later, goes out later, or
// is listed as unaccounted for and sent again when a person says so.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { sendSignal } from "../../bench/running-processes.ts";
import { acceptEarlier, booksOf, enqueueMany, until, watchBooks } from "../rig/lane-mail.ts";
import { needsPostfix } from "../rig/postfix.ts";
import type { RigInstance } from "../rig/postfix-instances.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import type { Scope } from "../rig/scope.ts";
import { mayMount, mountSmallDisk } from "../rig/small-disk.ts";
import { assertArrivedOnce, filesOf, startHome, statesOf, untilEach, type Home, type HomeConfig } from "./home-rig.ts";

const LIFETIME_S = 2;
// After a second, the queue manager would find a file that its last delivery has not let go yet, and leave it for minutes.
const SHORT_LIFE = {
  maximal_queue_lifetime: `${LIFETIME_S}s`,
  bounce_queue_lifetime: `${LIFETIME_S}s`,
  minimal_backoff_time: "3s",
  maximal_backoff_time: "3s",
  queue_run_delay: "1s",
};
const LIFETIMES_AWAY = 3;
/** A destination that failed is probed 15 s later. */
const HOME_MS_MAX = 100_000;

const emails = (lane: string, count: number, domain: string) =>
  Array.from({ length: count }, (_, n) => ({ lane, to: `${lane}${n}@${domain}` }));

/** Both lanes try again soon, and each message goes by its lane's own relay, however little is known of its destination. */
function straight({ lanes, outlets }: HomeConfig): HomeConfig {
  const own = (name: string) => ({ ...outlets[name], retry_outlet: undefined });
  return {
    lanes: {
      transactional: { ...lanes["transactional"], retry: ["1 s"] },
      bulk: { ...lanes["bulk"], retry: { first: "1 s", factor: 1, cap: "1 s", jitter: 0 } },
    },
    outlets: { transactional: own("transactional"), bulk: own("bulk") },
  };
}

/** They wait more than they work. */
const AT_ONCE = { concurrency: 2, timeout: 240_000 };

describe("nothing is lost when", AT_ONCE, () => {
  it("the agent is away while its relay gives up: all of it comes home later", async (t) => {
    if (!needsPostfix(t)) return;
    const sink = await startScriptedSink(t);
    await sink.stop();
    const home = await startHome(t, {
      mainCf: SHORT_LIFE,
      relayTo: { host: "127.0.0.1", port: sink.port },
      configure: (printed) => withoutAgent(straight(printed)),
    });
    const { pool } = home;
    const relay = home.instances.get("transactional");
    const books = watchBooks(pool);
    const mails = [0, 1, 2, 3].flatMap((n) => emails("transactional", 4, `dead${n}.test`));
    await enqueueMany(pool, mails);
    await until(
      "the relay has given up all of it, long ago",
      () => {
        const ages = noticeAges(relay);
        return ages.length === mails.length && Math.min(...ages) > LIFETIMES_AWAY * LIFETIME_S * 1000;
      },
      HOME_MS_MAX,
    );
    assert.ok((await statesOf(pool)).every(({ state }) => state === "sent"));

    await startAgent(home);
    await until(
      "all of it is home",
      async () => {
        const { rows } = await pool.query(
          "SELECT count(*)::integer AS n FROM postlane.event WHERE kind = 'deferred' AND attempt = 1",
        );
        return rows[0].n === mails.length;
      },
      HOME_MS_MAX,
    );
    await sink.start();
    await untilEach(home, ({ state }) => state === "delivered", HOME_MS_MAX);
    assertArrivedOnce(
      mails.map(({ to }) => to),
      sink,
    );
    assert.deepEqual(relay.notices(), []);
    assert.deepEqual(await booksOf(pool), { delivered: mails.length });
    await books.stop();
  });

  it("the relay drops notices in silence: their messages are listed, and sent again", async (t) => {
    if (!needsPostfix(t)) return;
    const sink = await startScriptedSink(t);
    await sink.stop();
    const home = await startHome(t, {
      mainCf: SHORT_LIFE,
      relayTo: { host: "127.0.0.1", port: sink.port },
      configure: straight,
    });
    const { pool, instances, scope } = home;
    const silenced = [makeUnwritable(instances.get("transactional"))];
    if (mayMount(t)) silenced.push(makeFull(scope, instances.get("bulk")));
    const books = watchBooks(pool);
    const mails = silenced.flatMap(({ relay }) => emails(relay.name, 3, `${relay.name}.test`));
    await enqueueMany(pool, mails);

    await until(
      "the relays have dropped the notices, too",
      () => silenced.every(({ relay }) => gaveUpNotices(relay) === 3 && filesOf(relay).deferred === 0),
      HOME_MS_MAX,
    );
    assert.ok((await statesOf(pool)).every(({ state }) => state === "sent"));
    for (const { relay } of silenced) assert.deepEqual(relay.notices(), []);

    await twoHoursLater(home);
    const listed = await until(
      "they are listed",
      async () => {
        const list = await home.ask<{ total: number; messages: readonly { recipient: string; outlet: string }[] }>(
          "unaccounted",
          "list",
        );
        return list.total === mails.length && list.messages.length === mails.length && list.messages;
      },
      HOME_MS_MAX,
    );
    assert.deepEqual(
      listed.map(({ recipient }) => recipient),
      mails.map(({ to }) => to),
    );
    await until("the alarm is raised", () => {
      const said = home.supervisor.printed();
      return silenced.every(({ relay }) =>
        said.includes(`ALARM: 3 messages handed to outlet ${relay.name} were never`),
      );
    });

    for (const { mend } of silenced) mend();
    await sink.start();
    for (const { relay } of silenced) {
      const resend = await home.run("unaccounted", "resend", "--outlet", relay.name, "--yes");
      assert.equal(resend.exitCode, 0, resend.stderr);
    }
    await untilEach(home, ({ state }) => state === "delivered", HOME_MS_MAX);
    assertArrivedOnce(
      mails.map(({ to }) => to),
      sink,
    );
    assert.equal((await home.ask<{ total: number }>("unaccounted", "list")).total, 0);
    await books.stop();
  });

  it("a spool is full: what waited goes out when there is room", async (t) => {
    if (!needsPostfix(t)) return;
    if (!mayMount(t)) return t.skip();
    const sink = await startScriptedSink(t);
    const home = await startHome(t, {
      relayTo: { host: "127.0.0.1", port: sink.port },
      configure: straight,
    });
    const { pool, instances } = home;
    const relay = instances.get("transactional");
    await relay.stop();
    const disk = mountSmallDisk(home.scope, relay.queueDir, "256m");
    // Before the disk goes, on which it keeps its process id: else nobody finds it any more.
    home.scope.after(() => relay.stop());
    await relay.start();
    disk.fill();
    const books = watchBooks(pool);
    const mails = emails("transactional", 20, "live.test");
    await enqueueMany(pool, mails);
    await until("explain names the disk", async () => /disk_full/.test((await home.run("explain", "--json")).stdout));
    assert.deepEqual(sink.accepted, []);
    disk.empty();
    await untilEach(home, ({ state }) => state === "delivered", HOME_MS_MAX);
    assertArrivedOnce(
      mails.map(({ to }) => to),
      sink,
    );
    await books.stop();
  });
});

// ---- the agent ------------------------------------------------------------------------------------------------------

/** Somebody else's business to start, as for a relay on another machine. */
function withoutAgent({ lanes, outlets }: HomeConfig): HomeConfig {
  const own = outlets["transactional"] as { readonly gauge: object };
  return { lanes, outlets: { ...outlets, transactional: { ...own, gauge: { ...own.gauge, is_remote: true } } } };
}

async function startAgent({ installation, scope }: Home): Promise<void> {
  const { file, args } = installation.command("agent", "--outlet", "transactional");
  const child = spawn(file, args, { env: installation.env, stdio: "ignore" });
  scope.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
}

/** Of each notice in the Maildir, in ms. */
function noticeAges({ maildir }: RigInstance): readonly number[] {
  const folder = path.join(maildir, "new");
  return readdirSync(folder).map((name) => Date.now() - statSync(path.join(folder, name)).mtimeMs);
}

// ---- Maildirs that take nothing ---------------------------------------------------------------------------------------

interface Silenced {
  readonly relay: RigInstance;
  mend(): void;
}

const MAILDIR_FOLDERS = ["tmp", "new", "cur"];

function makeUnwritable(relay: RigInstance): Silenced {
  const folders = MAILDIR_FOLDERS.map((name) => path.join(relay.maildir, name));
  const { uid, gid } = relay.returnsUser;
  for (const folder of folders) chownSync(folder, 0, 0);
  return {
    relay,
    mend() {
      for (const folder of folders) chownSync(folder, uid, gid);
    },
  };
}

function makeFull(scope: Scope, relay: RigInstance): Silenced {
  const disk = mountSmallDisk(scope, relay.maildir, "64k");
  const { uid, gid } = relay.returnsUser;
  for (const name of MAILDIR_FOLDERS) {
    mkdirSync(path.join(relay.maildir, name), { mode: 0o700 });
    chownSync(path.join(relay.maildir, name), uid, gid);
  }
  disk.fill();
  return { relay, mend: () => disk.empty() };
}

// ---- what is never heard --------------------------------------------------------------------------------------------

/** Of notices that could not be delivered the log says so, and nobody else does. */
function gaveUpNotices(relay: RigInstance): number {
  return relay.log().match(/: from=<>, status=expired/g)?.length ?? 0;
}

/** As if all hand-overs so far had happened then; the front looks when it starts. What came before its first look is never missed. */
async function twoHoursLater({ pool, processOf }: Home): Promise<void> {
  await until("the front has looked for the first time", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.accounted WHERE outlet IN ('transactional', 'bulk')");
    return rows.length === 2;
  });
  const { pid } = await processOf("front");
  await acceptEarlier(pool, "2 hours");
  await pool.query("UPDATE postlane.event SET at = at - interval '2 hours'");
  await pool.query("UPDATE postlane.accounted SET until = now() - interval '3 hours'");
  assert.ok(sendSignal(pid, "SIGKILL"));
}
