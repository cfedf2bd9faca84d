// Keys on a real database: whom they admit, for how long, what is told of a refusal; and a rate that two fronts share.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { silentLog, type Log } from "../../src/platform/log.ts";
import { createPool } from "../../src/postgres/database.ts";
import { revokeIfThere } from "../../src/senders/key-store.ts";
import { createKeyring, type Keyring } from "../../src/senders/keyring.ts";
import { makeKey, rotateKey } from "../../src/senders/make-key.ts";
import type { Sender } from "../../src/senders/sender.ts";
import { DATABASE_ANSWER_MS_MAX } from "../../src/senders/silent-database.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { SITE_RIGHTS } from "../rig/key-rights.ts";

const CLIENT = "192.0.2.7";

test("a key is admitted with its rights, and its secret is nowhere in the database", async (t) => {
  const { pool, keyring } = await keyringOf(t);
  const rights = { ...SITE_RIGHTS, scope: "operate", lanes: ["bulk", "news"], from_domains: ["shop.example"] } as const;
  const { token, key } = await makeKey(pool, { ...rights, max_rate: 100, gets_notices: false, is_deduplicated: false });
  assert.match(token, /^plk_\d+_[\w-]{43}$/);
  assert.deepEqual(await keyring.check(token, CLIENT), {
    kind: "admitted",
    sender: {
      credential: `key:${key.id}`,
      scope: "operate",
      lanes: ["bulk", "news"],
      fromDomains: ["shop.example"],
      maxRatePerS: 100,
      getsNotices: false,
      isDeduplicated: false,
    },
  });
  const { rows } = await pool.query(
    "SELECT key::text AS text, encode(secret_hash, 'escape') AS hash FROM postlane.key",
  );
  const secret = token.slice(-43);
  assert.ok(!JSON.stringify(rows).includes(secret));
  assert.ok(!JSON.stringify(rows).includes(Buffer.from(secret, "base64url").toString("hex")));
});

test("what is not right to the last character is refused, late, and logged without the secret", async (t) => {
  const lines: unknown[] = [];
  const clock = clockThatNotes();
  const { pool, keyring } = await keyringOf(t, {
    clock,
    log: { ...silentLog, warn: (...line) => void lines.push(line) },
  });
  const { token, key } = await makeKey(pool, SITE_RIGHTS);
  const secret = token.slice(-43);
  const other = secret.startsWith("A") ? "B" : "A";
  const wrong = [
    ["not_a_key", ""],
    ["not_a_key", `${token}\n`],
    ["not_a_key", ` ${token}`],
    ["not_a_key", token.slice(0, -1)],
    ["not_a_key", `plk_99999999999_${secret}`],
    ["not_a_key", `plk_4294967295_${secret}`],
    ["not_a_key", "x".repeat(1_000_000)],
    ["unknown_key", `plk_${key.id + 1}_${secret}`],
    ["wrong_secret", `plk_${key.id}_${other}${secret.slice(1)}`],
    ["wrong_secret", `plk_${key.id}_${secret.slice(0, -1)}${secret.endsWith("_") ? "-" : "_"}`],
  ] as const;
  for (const [, token] of wrong) assert.deepEqual(await keyring.check(token, CLIENT), { kind: "refused" });
  assert.deepEqual(
    lines.map((line) => (line as [string, { reason: string }])[1].reason),
    wrong.map(([reason]) => reason),
  );
  assert.ok(!JSON.stringify(lines).includes(secret.slice(1, -1)));
  assert.deepEqual(clock.delaysMs, [100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000, 8000]);
  assert.equal((await keyring.check(token, CLIENT)).kind, "admitted", "who is right waits for nothing");
});

test("a revoked key is refused within a second, and an expired one at its time", async (t) => {
  const clock = clockThatNotes();
  const { pool, keyring } = await keyringOf(t, { clock });
  const { token, key } = await makeKey(pool, SITE_RIGHTS);
  const brief = await makeKey(pool, SITE_RIGHTS, 900);
  assert.equal((await keyring.check(brief.token, CLIENT)).kind, "admitted");
  assert.equal((await keyring.check(token, CLIENT)).kind, "admitted");
  await revokeIfThere(pool, key.id);
  clock.move(400);
  assert.equal((await keyring.check(token, CLIENT)).kind, "admitted", "it is in mind");
  clock.move(550);
  assert.equal((await keyring.check(brief.token, CLIENT)).kind, "refused");
  clock.move(51);
  assert.equal((await keyring.check(token, CLIENT)).kind, "refused");
});

test("while the database is away a key that was good lately is believed, for a minute; another one is not refused either", async (t) => {
  const clock = clockThatNotes();
  const { database, keyring, close } = await keyringOf(t, { clock });
  const { token } = await makeKey(database.pool, SITE_RIGHTS);
  const brief = await makeKey(database.pool, SITE_RIGHTS, 30_000);
  for (const each of [token, brief.token]) assert.equal((await keyring.check(each, CLIENT)).kind, "admitted");
  await keyring.close();
  await close();
  clock.move(59_000);
  assert.equal((await keyring.check(token, CLIENT)).kind, "admitted");
  assert.equal((await keyring.check(brief.token, CLIENT)).kind, "refused", "its time is over all the same");
  await assert.rejects(keyring.check(`plk_77_${token.slice(-43)}`, CLIENT));
  clock.move(1001);
  await assert.rejects(keyring.check(token, CLIENT));
});

test("a database that says nothing keeps nobody waiting, and is asked again when it speaks", async (t) => {
  const clock = clockThatNotes();
  const { pool, database, keyring } = await keyringOf(t, { clock });
  const { token } = await makeKey(pool, SITE_RIGHTS);
  const other = await makeKey(pool, SITE_RIGHTS);
  const limited = { ...LIMITED, maxRatePerS: 10 };
  assert.equal((await keyring.check(token, CLIENT)).kind, "admitted");
  const speaksAgain = await silence(database, "postlane.key, postlane.key_rate");
  clock.move(1001);
  const answers = [keyring.check(token, CLIENT), keyring.check(other.token, CLIENT)];
  const takes = [1, 2, 3].map(() => keyring.take(limited, 1));
  const settled = Promise.allSettled([...answers, ...takes]);
  await until("all wait, and a group of keys and a share of the rate are asked for", () => clock.waiting >= 4);
  clock.giveUp();
  const [known, unknown, ...taken] = await settled;
  assert.deepEqual(known, { status: "fulfilled", value: await answers[0] });
  assert.equal((await answers[0]!).kind, "admitted");
  assert.match(String(unknown?.status === "rejected" && unknown.reason), /did not answer within 2000 ms/);
  assert.deepEqual(
    taken.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
  await speaksAgain();
  assert.equal((await keyring.check(other.token, CLIENT)).kind, "admitted");
  assert.deepEqual(await keyring.take(limited, 1), { kind: "granted" });
});

test("a thousand clients with made-up keys ask in a few statements", async (t) => {
  const { pool, keyring } = await keyringOf(t, { clock: clockThatNotes() });
  const { token } = await makeKey(pool, SITE_RIGHTS);
  const asked = countQueries(pool);
  const made = Array.from({ length: 1000 }, (_, i) => `plk_${i + 1000}_${token.slice(-43)}`);
  const answers = await Promise.all([...made, token].map((each, i) => keyring.check(each, `10.0.0.${i % 250}`)));
  assert.equal(answers.filter(({ kind }) => kind === "admitted").length, 1);
  assert.ok(asked() <= 4, `${asked()} statements`);
});

test("a use is noted, and not again within a minute", async (t) => {
  const clock = clockThatNotes();
  const { pool, keyring } = await keyringOf(t, { clock });
  const { token } = await makeKey(pool, SITE_RIGHTS);
  const lastUse = async () => (await pool.query("SELECT last_used_at FROM postlane.key")).rows[0].last_used_at as Date;
  assert.equal(await lastUse(), null);
  await keyring.check(token, CLIENT);
  await keyring.close();
  const first = await lastUse();
  assert.ok(first instanceof Date);
  clock.move(30_000);
  await keyring.check(token, CLIENT);
  await keyring.close();
  assert.deepEqual(await lastUse(), first);
  await pool.query("UPDATE postlane.key SET last_used_at = last_used_at - interval '61 s'");
  clock.move(31_000);
  await keyring.check(token, CLIENT);
  await keyring.close();
  assert.ok((await lastUse()) >= first);
});

test("the key that follows another one has its rights and its credential, and the old one ends after its grace", async (t) => {
  const clock = clockThatNotes();
  const { pool, keyring } = await keyringOf(t, { clock });
  const first = await makeKey(pool, { ...SITE_RIGHTS, lanes: ["bulk"], max_rate: 5 });
  const second = await rotateKey(pool, { id: first.key.id, keptMs: 900, endsInMs: null });
  assert.notEqual(second?.token, first.token);
  const answers = await Promise.all([first, second!].map(({ token }) => keyring.check(token, CLIENT)));
  assert.equal(answers[0]?.kind, "admitted");
  assert.deepEqual(answers[0], answers[1]);
  clock.move(901);
  assert.equal((await keyring.check(first.token, CLIENT)).kind, "refused");
  assert.equal((await keyring.check(second!.token, CLIENT)).kind, "admitted");
  await revokeIfThere(pool, second!.key.id);
  assert.equal(await rotateKey(pool, { id: second!.key.id, keptMs: 0, endsInMs: null }), undefined);
  assert.equal(await rotateKey(pool, { id: 4711, keptMs: 0, endsInMs: null }), undefined);
});

test("two fronts together keep a rate, and no submission waits for the other front's transaction", async (t) => {
  const { database, keyring } = await keyringOf(t);
  const other = await secondKeyring(t, database);
  const sender = { ...LIMITED, maxRatePerS: 200 };
  const startedAtMs = performance.now();
  const granted = await Promise.all([submitFor(1500, keyring, sender), submitFor(1500, other, sender)]);
  const passedS = (performance.now() - startedAtMs) / 1000;
  const total = granted[0] + granted[1];
  const most = 200 * (passedS + 1 + 0.2);
  assert.ok(total <= most, `${total} were granted in ${passedS} s, at most ${most} may`);
  assert.ok(total >= 200 * (passedS + 1) * 0.5, `${total} were granted in ${passedS} s: the rate is not used`);
  assert.ok(Math.min(...granted) > 0, `one front had all of it: ${granted.join(", ")}`);
});

test("who is limited hears when to come again, and a batch larger than the rate is paid off", async (t) => {
  const { keyring, pool } = await keyringOf(t);
  const sender = { ...LIMITED, maxRatePerS: 10 };
  assert.deepEqual(await keyring.take(sender, 45), { kind: "granted" });
  const [{ tokens }] = (await pool.query("SELECT tokens FROM postlane.key_rate")).rows as [{ tokens: number }];
  assert.ok(tokens < -34 && tokens >= -35, `${tokens}`);
  const asked = countQueries(pool);
  for (let i = 0; i < 100; i++) {
    const answer = await keyring.take(sender, 1);
    assert.ok(answer.kind === "limited" && answer.retryAfterS >= 2 && answer.retryAfterS <= 4);
  }
  assert.ok(asked() <= 1, "who hammers asks the database once");
  assert.deepEqual(await keyring.take({ ...sender, credential: "key:2" }, 1), { kind: "granted" });
});

test("a slow rate lets one through at once", async (t) => {
  const { keyring } = await keyringOf(t);
  const sender = { ...LIMITED, maxRatePerS: 1 / 60 };
  assert.deepEqual(await keyring.take(sender, 1), { kind: "granted" });
  assert.deepEqual(await keyring.take(sender, 1), { kind: "limited", retryAfterS: 60 });
});

const LIMITED: Sender = { credential: "key:1", scope: "send", getsNotices: true, isDeduplicated: true };

interface Rig {
  readonly database: TestDatabase;
  readonly pool: TestDatabase["pool"];
  readonly keyring: Keyring;
  /** Ends the keyring's sessions, as a database that goes away does. */
  close(): Promise<void>;
}

async function keyringOf(
  t: TestContext,
  { clock = systemClock, log = silentLog }: { clock?: Clock; log?: Log } = {},
): Promise<Rig> {
  const database = await testDatabase(t);
  const { pool, close } = createPool(database.clientConfig, silentLog, { connectionsMax: 4, closeMsMax: 100 });
  const keyring = createKeyring({ pool, clock, log });
  t.after(async () => {
    await keyring.close();
    await close();
  });
  return { database, pool, keyring, close };
}

async function secondKeyring(t: TestContext, database: TestDatabase): Promise<Keyring> {
  const { pool, close } = createPool(database.clientConfig, silentLog, { connectionsMax: 4, closeMsMax: 100 });
  const keyring = createKeyring({ pool, clock: systemClock, log: silentLog });
  t.after(close);
  return keyring;
}

/** Ten clients that submit one by one and come again at once when they are refused; how many were granted. */
async function submitFor(ms: number, keyring: Keyring, sender: Sender): Promise<number> {
  const endAtMs = performance.now() + ms;
  let granted = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < endAtMs) {
      if ((await keyring.take(sender, 1)).kind === "granted") granted++;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await Promise.all(Array.from({ length: 10 }, client));
  return granted;
}

function countQueries(pool: TestDatabase["pool"]): () => number {
  let count = 0;
  const query = pool.query.bind(pool) as (...given: unknown[]) => unknown;
  pool.query = ((...given: unknown[]) => {
    count++;
    return query(...given);
  }) as typeof pool.query;
  return () => count;
}

/** A lock that every question waits for; answers how to let it go. */
async function silence({ pool }: TestDatabase, tables: string): Promise<() => Promise<void>> {
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query(`LOCK TABLE ${tables}`);
  return async () => {
    await client.query("ROLLBACK");
    client.release();
  };
}

interface NotingClock extends Clock {
  readonly delaysMs: number[];
  /** How many wait for the database. */
  readonly waiting: number;
  move(ms: number): void;
  /** The database has not answered them in time. */
  giveUp(): void;
}

/** The test moves it. A delay is over at once and noted; what bounds a wait for the database ends when the test says so. */
function clockThatNotes(): NotingClock {
  let nowMs = 0;
  const delaysMs: number[] = [];
  const bounds = new Set<() => void>();
  return {
    delaysMs,
    get waiting() {
      return bounds.size;
    },
    move: (ms) => void (nowMs += ms),
    giveUp() {
      for (const fire of bounds) fire();
    },
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(ms, fire) {
      if (ms === DATABASE_ANSWER_MS_MAX) {
        bounds.add(fire);
        return { cancel: () => void bounds.delete(fire) };
      }
      delaysMs.push(ms);
      const timer = setImmediate(fire);
      return { cancel: () => clearImmediate(timer) };
    },
    soon: (fire) => void setImmediate(fire),
  };
}
