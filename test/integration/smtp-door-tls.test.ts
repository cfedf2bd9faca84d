// The SMTP door with a certificate: who gets STARTTLS and AUTH where, that nothing said in the clear is believed behind
// it, and a certificate that is renewed, broken, and renewed again.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { test, type TestContext } from "node:test";
import tls from "node:tls";
import { promisify } from "node:util";
import type { Pool } from "pg";
import type { SmtpLimits } from "../../src/doors/smtp/smtp-door.ts";
import { revokeIfThere } from "../../src/senders/key-store.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, keyFor, openDoor, Talk, type OpenDoor } from "./smtp-rig.ts";

const MAIL = "Subject: x\r\n\r\nx\r\n";

interface Rig extends OpenDoor {
  readonly pool: Pool;
  readonly certFile: string;
  readonly keyFile: string;
  readonly told: string[];
}

async function rigWithTls(t: TestContext, limits: Partial<SmtpLimits> = {}): Promise<Rig> {
  const { pool, dataDir } = await testDatabase(t);
  const [certFile, keyFile] = [path.join(dataDir, "cert.pem"), path.join(dataDir, "key.pem")];
  for (const [name, file] of [
    ["cert.pem", certFile],
    ["key.pem", keyFile],
  ] as const) {
    copyFileSync(new URL(`../../../test/fixtures/tls/${name}`, import.meta.url), file);
  }
  const told: string[] = [];
  const kinds = ["smtp", "submission", "submissions"] as const;
  const opened = await openDoor(t, pool, {
    listeners: kinds.map((kind) => ({ kind })),
    certificate: { certFile, keyFile },
    // That a listener is there is told as well.
    tell: (line) => void (line.includes("listens at") || told.push(line)),
    limits,
  });
  return { ...opened, pool, certFile, keyFile, told };
}

test("submission wants STARTTLS, then a key, and believes nothing that was said before", async (t) => {
  const { pool, ports } = await rigWithTls(t);
  const { plain, token, credential } = await keyFor(pool);
  const talk = await Talk.at(ports[1]!);
  assert.match(await talk.say("EHLO client.test"), /250-STARTTLS\r\n/);
  assert.equal(await talk.say("MAIL FROM:<a@example.com>"), "530 5.7.0 start TLS first, then authenticate");
  assert.equal(await talk.say(`AUTH PLAIN ${plain}`), "538 5.7.11 authenticate over TLS only");
  assert.match(await talk.say("STARTTLS"), /^220 2\.0\.0/);
  await talk.startTls();
  assert.match(await talk.say("MAIL FROM:<a@example.com>"), /^503 5\.5\.1/, "EHLO is to be said again");
  const ehlo = await talk.say("EHLO client.test");
  assert.ok(ehlo.includes("250-AUTH PLAIN LOGIN") && !ehlo.includes("STARTTLS"));
  assert.match(await talk.say("MAIL FROM:<a@example.com>"), /^530 5\.7\.0 authenticate first/);
  assert.match(await talk.say("AUTH LOGIN"), /^334/);
  assert.match(await talk.say(Buffer.from("anybody").toString("base64")), /^334/);
  assert.match(await talk.say(Buffer.from(token).toString("base64")), /^235 2\.7\.0/);
  assert.match(await talk.mail(MAIL), /^250/);
  const [kept] = await keptMail(pool);
  assert.equal(kept?.credential, credential);
  assert.match(kept.raw, /with ESMTPSA id/);
  talk.end();
});

test("a key that is revoked ends what an open session may do, within a second or two", async (t) => {
  const { pool, ports } = await rigWithTls(t);
  const { plain, id } = await keyFor(pool);
  const talk = await Talk.with(ports[1]!);
  await talk.say("STARTTLS");
  await talk.startTls();
  await talk.sayAll("EHLO client.test", `AUTH PLAIN ${plain}`);
  assert.match(await talk.mail(MAIL), /^250/);
  await revokeIfThere(pool, id);
  const reply = await until("the key is refused", async () => {
    const said = await talk.say("MAIL FROM:<a@example.com>");
    if (said.startsWith("535")) return said;
    await talk.say("RSET");
    return undefined;
  });
  assert.match(reply, /^535 5\.7\.8 the key is not good any more/);
  talk.end();
});

test("what was sent in the clear behind STARTTLS is discarded", async (t) => {
  const { pool, ports } = await rigWithTls(t);
  const { plain } = await keyFor(pool);
  const talk = await Talk.with(ports[1]!);
  const injected = `EHLO evil.test\r\nAUTH PLAIN ${plain}\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<eve@example.com>\r\n`;
  talk.write(`STARTTLS\r\n${injected.repeat(60)}`);
  assert.match(await talk.reply(), /^220/);
  await talk.startTls();
  assert.match(await talk.say("MAIL FROM:<a@example.com>"), /^503 5\.5\.1/);
  await talk.say("EHLO client.test");
  assert.match(await talk.say("MAIL FROM:<a@example.com>"), /^530 5\.7\.0 authenticate first/);
  talk.end();
});

test("implicit TLS takes a key at once, and nothing older than TLS 1.2", async (t) => {
  const { pool, ports } = await rigWithTls(t);
  const { plain } = await keyFor(pool);
  const options = { host: "127.0.0.1", port: ports[2]!, rejectUnauthorized: false };
  const talk = new Talk(tls.connect(options));
  assert.match(await talk.reply(), /^220/);
  await talk.say("EHLO client.test");
  assert.match(await talk.say(`AUTH PLAIN ${plain}`), /^235/);
  assert.match(await talk.mail(MAIL), /^250/);
  talk.end();
  const old = tls.connect({ ...options, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL@SECLEVEL=0" });
  await assert.rejects(
    new Promise((_resolve, reject) => {
      old.on("error", reject);
    }),
  );
});

test("sessions over TLS are counted out when they end", async (t) => {
  const { ports } = await rigWithTls(t, { sessionsPerClientMax: 2 });
  for (let count = 0; count < 10; count++) {
    const talk = await greeted(() => new Talk(net.connect({ host: "127.0.0.1", port: ports[1]! })));
    await talk.say("EHLO client.test");
    await talk.say("STARTTLS");
    await talk.startTls();
    assert.match(await talk.say("EHLO client.test"), /^250/);
    if (count % 2 === 0) talk.end();
    else assert.match(await talk.say("QUIT"), /^221/);
    const other = await greeted(
      () => new Talk(tls.connect({ host: "127.0.0.1", port: ports[2]!, rejectUnauthorized: false })),
    );
    other.end();
  }
});

/** The door hears of the end of a connection when the network tells it. */
async function greeted(connect: () => Talk): Promise<Talk> {
  const endsAtMs = performance.now() + 5000;
  for (;;) {
    const talk = connect();
    if ((await talk.reply()).startsWith("220")) return talk;
    if (performance.now() > endsAtMs) throw new Error("no session was counted out");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a renewed certificate is used; a broken one is told once, and changes nothing", async (t) => {
  const { ports, door, certFile, keyFile, told } = await rigWithTls(t);
  const first = await certificateOf(ports[2]!);
  await promisify(execFile)("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    "/CN=renewed.test",
    "-keyout",
    keyFile,
    "-out",
    `${certFile}.new`,
  ]);
  await door.renewCertificate();
  await door.renewCertificate();
  assert.equal(await certificateOf(ports[2]!), first, "amid a renewal the two do not belong together");
  assert.equal(told.length, 1);
  assert.match(told[0]!, /cannot be used .*the one before it stays in use/);
  copyFileSync(`${certFile}.new`, certFile);
  await door.renewCertificate();
  assert.equal(await certificateOf(ports[2]!), "renewed.test");
  const talk = await Talk.with(ports[1]!);
  await talk.say("STARTTLS");
  const secure = await talk.startTls();
  assert.equal(secure.getPeerCertificate().subject.CN, "renewed.test");
  talk.end();
  writeFileSync(certFile, "nothing of the kind");
  await door.renewCertificate();
  assert.equal(await certificateOf(ports[2]!), "renewed.test");
});

async function certificateOf(port: number): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  const name = await new Promise<string>((resolve, reject) => {
    socket.once("secureConnect", () => resolve(String(socket.getPeerCertificate().subject.CN)));
    socket.once("error", reject);
  });
  socket.destroy();
  return name;
}
