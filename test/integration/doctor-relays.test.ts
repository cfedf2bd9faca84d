// The doctor talks to real SMTP servers on the loopback: with certificates that are good, end soon, ended long ago, are of
// another name or of nobody; that greet badly, say nothing, or offer no TLS.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import tls from "node:tls";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { judgeRelay } from "../../src/doctor/judge-relay.ts";
import { talkToRelay, type TalkPorts } from "../../src/doctor/talk-to-relay.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { loadConfig, type SmtpOutletConfig } from "../../src/platform/config.ts";
import { needs } from "../rig/needs.ts";

const ports: TalkPorts = {
  clock: systemClock,
  connect: (host, port) => net.connect({ host, port }),
  startTls: (socket, { host, servername, ca }) =>
    tls.connect({
      socket,
      host,
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
      ...(ca === undefined ? {} : { ca }),
    }),
};

const fixtures = path.resolve(import.meta.dirname, "../../../test/fixtures/tls");
const fixture = {
  cert: readFileSync(path.join(fixtures, "cert.pem"), "utf8"),
  key: readFileSync(path.join(fixtures, "key.pem"), "utf8"),
};

test("a certificate that verifies, by its authority and its name: nothing is found, with STARTTLS and implicit TLS", async (t) => {
  const port = await smtpServer(t, { ...fixture, authOptional: true });
  assert.deepEqual(await codesOf("localhost", port, { tls: "required", ca: fixture.cert, auth: AUTH }), []);
  const implicit = await smtpServer(t, { ...fixture, secure: true });
  assert.deepEqual(await codesOf("127.0.0.1", implicit, { tls: "required", implicitTls: true, ca: fixture.cert }), []);
});

test("a certificate of nobody that is known is refused where one is required, and by loopback else let pass", async (t) => {
  const port = await smtpServer(t, fixture);
  assert.deepEqual(await codesOf("localhost", port, { tls: "required" }), ["relay_certificate_refused"]);
  assert.deepEqual(await codesOf("localhost", port, { tls: "opportunistic" }), []);
});

test("certificates that end soon, that ended, and of another name", async (t) => {
  if (!needs(t, "openssl")) return;
  const cases = [
    [certificateFor(t, "localhost", "5"), "relay_certificate_expires"],
    [certificateFor(t, "localhost", "-1"), "relay_certificate_refused"],
    [certificateFor(t, "relay.example", "90"), "relay_certificate_refused"],
    [certificateFor(t, "localhost", "90"), undefined],
  ] as const;
  for (const [pair, code] of cases) {
    const port = await smtpServer(t, pair);
    const codes = await codesOf("localhost", port, { tls: "required", ca: pair.cert });
    assert.deepEqual(codes, code === undefined ? [] : [code]);
  }
});

test("no STARTTLS, and no AUTH, where the outlet wants them", async (t) => {
  const port = await smtpServer(t, { disabledCommands: ["STARTTLS", "AUTH"] });
  assert.deepEqual(await codesOf("localhost", port, { tls: "required" }), ["relay_tls_not_offered"]);
  assert.deepEqual(await codesOf("localhost", port, { auth: AUTH }), ["relay_auth_not_offered"]);
});

test("nobody there, no such name, a refusal, noise and silence", async (t) => {
  assert.deepEqual(await codesOf("127.0.0.1", 1, {}), ["relay_unreachable"]);
  const unresolved = { ...ports, connect: () => net.connect({ host: "relay.invalid", port: 25, lookup: noSuchName }) };
  assert.deepEqual(await codesOf("relay.invalid", 25, {}, unresolved), ["relay_unresolved"]);
  const refusing = await plainServer(t, (socket) => socket.end("554 5.7.1 not you\r\n"));
  assert.deepEqual(await codesOf("127.0.0.1", refusing, {}), ["relay_refuses"]);
  const noise = await plainServer(t, (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert.deepEqual(await codesOf("127.0.0.1", noise, {}), ["relay_refuses"]);
  const silent = await plainServer(t, () => {});
  assert.deepEqual(await codesOf("127.0.0.1", silent, {}), ["relay_silent"]);
  const broken = await plainServer(t, (socket) => answerBadly(socket));
  assert.deepEqual(await codesOf("127.0.0.1", broken, { tls: "required" }), ["relay_tls_failed"]);
});

const AUTH = { user: "site", password: "secret" };
const { outlets } = loadConfig({
  cwd: "/",
  env: { POSTLANE_OUTLETS__NEWS__TYPE: "smtp", POSTLANE_OUTLETS__NEWS__HOSTS: "[localhost]" },
});
const NEWS = outlets["news"] as SmtpOutletConfig;

async function codesOf(
  host: string,
  port: number,
  changed: Partial<SmtpOutletConfig>,
  through: TalkPorts = ports,
): Promise<readonly string[]> {
  const outlet = { ...NEWS, ...changed };
  const talk = await talkToRelay({ host, port }, outlet, through);
  const found = judgeRelay({ outlet, host, port, talk, nowMs: Date.now() }).map(({ code }) => code as string);
  // The server of these tests has no pipelining.
  return found.filter((code) => code !== "relay_slow_to_talk");
}

async function smtpServer(t: TestContext, options: SMTPServerOptions): Promise<number> {
  const server = new SMTPServer({ allowInsecureAuth: true, logger: false, ...options });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.server.address() as net.AddressInfo).port;
}

async function plainServer(t: TestContext, greet: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    greet(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
}

/** Offers STARTTLS, and speaks none. */
function answerBadly(socket: net.Socket): void {
  socket.write("220 relay.example\r\n");
  socket.on("data", (bytes) => {
    const line = bytes.toString("latin1");
    if (line.startsWith("EHLO")) socket.write("250-relay.example\r\n250 STARTTLS\r\n");
    else socket.write(line.startsWith("STARTTLS") ? "220 go ahead\r\n" : "not TLS at all\r\n");
  });
}

const noSuchName: net.LookupFunction = (hostname, _options, callback) => {
  callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: "ENOTFOUND" }), "", 4);
};

function certificateFor(t: TestContext, name: string, days: string): { readonly cert: string; readonly key: string } {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-doctor-tls-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [cert, key, wish] = [path.join(folder, "cert"), path.join(folder, "key"), path.join(folder, "wish")];
  const openssl = (...words: readonly string[]) => execFileSync("openssl", words, { stdio: "ignore" });
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", wish, ...names);
  // In two steps, since only the second takes days of the past.
  openssl("x509", "-req", "-in", wish, "-signkey", key, "-days", days, "-copy_extensions", "copyall", "-out", cert);
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}
