// `postlane key` as a child process: what is shown once, what is listed, and what a running front makes of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createKeyring } from "../../src/senders/keyring.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { jsonOf, runCommand } from "./cli-command.ts";

interface Key {
  readonly id: number;
  readonly credential: string;
  readonly name: string;
  readonly state: string;
  readonly scope: string;
  readonly lanes: readonly string[] | null;
  readonly from_domains: readonly string[] | null;
  readonly max_rate_per_s: number | null;
  readonly gets_notices: boolean;
  readonly is_deduplicated: boolean;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

type Made = Key & { readonly token: string };

test("a key is printed alone on standard output, admitted, listed without its secret, and refused once it is revoked", async (t) => {
  const database = await testDatabase(t);
  const keyring = createKeyring({ pool: database.pool, clock: systemClock, log: silentLog });
  t.after(() => keyring.close());
  const made = await runCommand(database, ["key", "create", "--name", "shop", "--lane", "bulk", "--rate", "100/s"]);
  assert.equal(made.exitCode, 0, made.stderr);
  assert.match(made.stdout, /^plk_1_[\w-]{43}\n$/);
  assert.match(made.stderr, /^key 1 "shop": scope send; lanes bulk; from any domain; at most 100\/s; does not end/);
  const token = made.stdout.trim();
  const admitted = await keyring.check(token, "127.0.0.1");
  assert.equal(admitted.kind, "admitted");

  const listed = await runCommand(database, ["key", "list"]);
  assert.match(listed.stdout, /^key +name +scope/);
  assert.match(listed.stdout, /\n +1 +shop +good +send +bulk +any +100\/s/);
  assert.ok(!listed.stdout.includes(token.slice(-43)));

  const revoked = await runCommand(database, ["key", "revoke", "1"]);
  assert.deepEqual([revoked.exitCode, revoked.stdout], [0, 'key 1 "shop" is revoked; it is refused within a second\n']);
  const revokedAtMs = performance.now();
  await until("it is refused", async () => (await keyring.check(token, "127.0.0.1")).kind === "refused");
  const tookMs = performance.now() - revokedAtMs;
  assert.ok(tookMs < 2000, `it took ${tookMs} ms`);
  const { keys } = await jsonOf<{ keys: readonly Key[] }>(database, ["key", "list"]);
  assert.equal(keys[0]?.state, "revoked");
});

test("every right can be given, and a rotated key has them all", async (t) => {
  const database = await testDatabase(t);
  const flags = ["--scope", "operate", "--lane", "bulk", "--lane", "transactional", "--from-domain", "shop.example"];
  const more = ["--rate", "3,600/hr", "--no-notices", "--no-dedup", "--expires", "30 days"];
  const { token, ...key } = await jsonOf<Made>(database, ["key", "create", "--name", "Laden Süd", ...flags, ...more]);
  assert.match(token, /^plk_1_/);
  const rights = {
    credential: "key:1",
    name: "Laden Süd",
    scope: "operate",
    lanes: ["bulk", "transactional"],
    from_domains: ["shop.example"],
    max_rate_per_s: 1,
    gets_notices: false,
    is_deduplicated: false,
  };
  assert.deepEqual(key, { ...key, ...rights, id: 1, state: "good", revoked_at: null });
  const days = (Date.parse(key.expires_at!) - Date.now()) / 86_400_000;
  assert.ok(days > 29.9 && days <= 30);

  const thoughtless = await runCommand(database, ["key", "rotate", "1"]);
  assert.equal(thoughtless.exitCode, 2);
  assert.match(thoughtless.stderr, /ends by itself.*--expires never/);
  const next = await jsonOf<Made & { readonly old: Key }>(database, [
    "key",
    "rotate",
    "1",
    "--keep",
    "2 h",
    "--expires",
    "never",
  ]);
  assert.deepEqual(next, { ...next, ...rights, id: 2, state: "good", expires_at: null });
  assert.notEqual(next.token.slice(-43), token.slice(-43));
  const hours = (Date.parse(next.old.expires_at!) - Date.now()) / 3_600_000;
  assert.ok(hours > 1.9 && hours <= 2);

  const revoked = await runCommand(database, ["key", "revoke", next.token]);
  assert.match(revoked.stderr, /key 1 is of the same rotation and still good/);
  assert.ok(!revoked.stdout.includes(next.token));
  const ended = await runCommand(database, ["key", "rotate", "2"]);
  assert.match(ended.stderr, /Key 2 is revoked\. Make another one/);
});

test("what is not there is said, with what to do", async (t) => {
  const database = await testDatabase(t);
  assert.match((await runCommand(database, ["key", "list"])).stdout, /there is no key yet: `postlane key create/);
  const unknown = await runCommand(database, ["key", "revoke", "4711", "--json"]);
  assert.equal(unknown.exitCode, 1);
  assert.equal((JSON.parse(unknown.stdout) as { error: { code: string } }).error.code, "key_unknown");
  const badLane = await runCommand(database, ["key", "create", "--name", "x", "--lane", "news"]);
  assert.equal(badLane.exitCode, 2);
  assert.match(badLane.stderr, /no lane "news"\. Lanes: transactional, bulk/);
});
