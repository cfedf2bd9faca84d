// Keys that sign and how a dispatcher starts with them: what is said of an encryption key that is not there or another one,
// of a key's file that is gone, and of mail that nobody signs.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { TestDatabase } from "../rig/postgres.ts";
import { endWithTest, jsonOf, lineOf, runCommand, startCommand, startSupervised } from "./cli-command.ts";
import { check, place, publishIn, type Domain } from "./domain-rig.ts";

test("an encryption key that is not there, or another one, is told with what to do; then no dispatcher hands mail over", async (t) => {
  const { database, config } = await place(t);
  const keyFile = path.join(database.dataDir, "secrets", "dkim.key");
  await jsonOf(database, ["domain", "add", "example.com"]);
  await jsonOf(database, ["domain", "activate", "example.com"]);
  const kept = readFileSync(keyFile);
  writeFileSync(keyFile, `${Buffer.alloc(32, 7).toString("base64")}\n`);
  const other = await runCommand(database, ["domain", "add", "example.net"]);
  assert.match(
    other.stderr,
    /sealed under another encryption key \([0-9a-f]{16}\) than .*dkim\.key \([0-9a-f]{16}\): bring that key here/,
  );
  const told = await failedDispatcher(t, database);
  assert.match(
    told,
    /^ALARM: no mail is handed over, since it could not be signed: The DKIM keys of example\.com are sealed under another/,
  );

  rmSync(keyFile);
  const missing = await failedDispatcher(t, database);
  assert.match(missing, /not on this machine: copy .*dkim\.key from where `postlane domain add` was run/);
  assert.ok(!existsSync(keyFile), "a dispatcher makes no key");

  writeFileSync(path.join(database.dataDir, "postlane.yaml"), `${config}dkim: { encryption_key_file: given.key }\n`);
  assert.match(
    (await runCommand(database, ["domain", "add", "example.net"])).stderr,
    /given\.key, named by dkim\.encryption_key_file, is not there\. Make it once: \(umask 077; openssl rand -base64 32 >/,
  );
  writeFileSync(path.join(database.dataDir, "given.key"), kept);
  const child = startSupervised(database, ["dispatcher", "--lane", "transactional"]);
  endWithTest(t, child);
  await lineOf(child, /dispatcher\.started/, "stderr");
});

test("keys from files are shown and checked like the others", async (t) => {
  const { database, zone, config } = await place(t);
  const pem = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "pem", type: "pkcs8" });
  writeFileSync(path.join(database.dataDir, "s1.pem"), pem);
  const keys = "dkim: { keys: [{ domain: example.com, selector: s1, private_key_file: s1.pem }] }\n";
  writeFileSync(path.join(database.dataDir, "postlane.yaml"), config + keys);
  const { domains } = await jsonOf<{ readonly domains: readonly Domain[] }>(database, [
    "domain",
    "show",
    "example.com",
  ]);
  const [key] = domains[0]!.keys;
  assert.deepEqual([key?.selector, key?.state, key?.file], ["s1", "active", path.join(database.dataDir, "s1.pem")]);
  publishIn(zone, key!.record);
  const { checked } = await check(database);
  assert.equal(checked.findings.find(({ check: about }) => about === "dkim")?.status, "ok");
  const child = startSupervised(database, ["dispatcher", "--lane", "transactional"]);
  endWithTest(t, child);
  await lineOf(child, /dispatcher\.started/, "stderr");
  rmSync(path.join(database.dataDir, "s1.pem"));
  assert.match(
    await failedDispatcher(t, database),
    /DKIM key s1 of example\.com cannot be read from .*s1\.pem \(ENOENT\)/,
  );
});

test("`up` says that mail is not signed, once an outlet sends it out", async (t) => {
  const { database, config } = await place(t);
  const outlets = "outlets: { relay: { type: smtp, hosts: ['127.0.0.1:1'] } }\nlanes: { bulk: { outlets: [relay] } }\n";
  writeFileSync(path.join(database.dataDir, "postlane.yaml"), `${config}from: hello@news.example.com\n${outlets}`);
  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  await lineOf(up, /^mail from news\.example\.com is not signed here: `postlane domain add news\.example\.com`/);
  up.kill("SIGTERM");
  await once(up, "close");
});

/** What it tells its supervisor before it ends. */
async function failedDispatcher(t: TestContext, database: TestDatabase): Promise<string> {
  const child = startSupervised(database, ["dispatcher", "--lane", "transactional"]);
  endWithTest(t, child);
  const told: string[] = [];
  child.on("message", (message: { readonly kind: string; readonly line?: string }) => {
    if (message.kind === "told") told.push(message.line ?? "");
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  assert.equal(exitCode, 1);
  return told.join("\n");
}
