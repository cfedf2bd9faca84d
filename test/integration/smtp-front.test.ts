// The SMTP door where it stands: in the front, as the configuration has it, beside everything else.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { endWithTest, startSupervised } from "./cli-command.ts";
import { keptMail, keyFor, Talk } from "./smtp-rig.ts";

test("the front takes mail by SMTP: in the clear from here, into a lane by its port, and over TLS with a key", async (t) => {
  const database = await testDatabase(t);
  const { pool, dataDir } = database;
  for (const name of ["cert.pem", "key.pem"]) {
    copyFileSync(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url), path.join(dataDir, name));
  }
  writeFileSync(
    path.join(dataDir, "postlane.yaml"),
    `from: "Site <hello@site.example>"
listen: { submission: "127.0.0.1:0", submissions: off }
tls: { cert_file: cert.pem, key_file: key.pem }
smtp: { max_message: "1 MiB", ports: { bulk: "127.0.0.1:0" } }
`,
  );
  const { plain, credential } = await keyFor(pool);
  const front = startSupervised(database, ["front"]);
  endWithTest(t, front);
  const [secure, transactional, bulkPort] = await openedPorts(front);
  const talk = await Talk.with(transactional);
  assert.match(await talk.mail("Subject: 1\r\n\r\n"), /^250/);
  const bulk = await Talk.with(bulkPort);
  assert.match(await bulk.mail("Subject: 2\r\n\r\n"), /^250/);
  const safe = await Talk.with(secure);
  await safe.say("STARTTLS");
  await safe.startTls();
  assert.match(await safe.say("EHLO client.test"), /SIZE 1048576/);
  assert.match(await safe.say(`AUTH PLAIN ${plain}`), /^235/);
  assert.match(await safe.mail("Subject: 3\r\n\r\n"), /^250/);
  const kept = await keptMail(pool);
  assert.deepEqual(
    kept.map((row) => [row.credential, row.lanes.join()]),
    [
      ["loopback", "transactional"],
      ["loopback", "bulk"],
      [credential, "transactional"],
    ],
  );
  assert.match(kept[0]!.raw, /\r\nMessage-ID: <[^>]+@site\.example>\r\n/);
  for (const each of [talk, bulk, safe]) each.end();
});

/** As the front's log tells them. */
async function openedPorts(front: ChildProcess): Promise<readonly [secure: number, plain: number, bulk: number]> {
  const ports = new Map<string, number>();
  let said = "";
  await new Promise<void>((resolve, reject) => {
    front.stderr!.on("data", (chunk: Buffer) => {
      const lines = (said + chunk.toString("utf8")).split("\n");
      said = lines.pop()!;
      for (const line of lines.filter((each) => each.includes("smtp.opened"))) {
        const { listener, lane = "", port } = JSON.parse(line) as { listener: string; lane?: string; port: number };
        ports.set(listener + lane, port);
      }
      if (ports.size === 3) resolve();
    });
    front.once("close", () => reject(new Error(`it ended: ${said}`)));
  });
  return [ports.get("submission")!, ports.get("smtp")!, ports.get("smtpbulk")!];
}
