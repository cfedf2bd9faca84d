// `postlane init` as a command: asked at a terminal and by flags, through a real Postfix and into capture, with an embedded
// database, one's own, and one that does not do.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { hearGreeting } from "../../src/doors/cli/hear-greeting.ts";
import { findPostfix } from "../../src/mailers/postfix/find-postfix.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { removeEmbedded } from "../../src/postgres/embedded.ts";
import { testDatabase } from "../rig/postgres.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { startSmtpSink } from "../rig/smtp-sink.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { endWithTest, runCommand, type CommandPlace } from "./cli-command.ts";

interface InitTold {
  readonly key: string | null;
  readonly test: { readonly state: string; readonly is_out: boolean; readonly said: string } | null;
}

function makePlace(t: TestContext): CommandPlace {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-first-"));
  chmodSync(dataDir, 0o711);
  t.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });
  return { dataDir };
}

test("with --yes mail is kept here: a test mail, a key, what comes next; what is there is not replaced", async (t) => {
  const place = makePlace(t);
  const { exitCode, stdout, stderr } = await runCommand(place, ["init", "--yes", "--from", "Shop <shop@example.com>"]);
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(stdout, /^test mail: to shop@example\.com: captured/m);
  assert.match(stdout, /^ {4}Authorization: Bearer plk_1_[\w-]{43}$/m);
  assert.match((await runCommand(place, ["captured", "show", "latest"])).stdout, /^Subject: Postlane works\r?$/m);

  const again = await runCommand(place, ["init", "--yes"]);
  assert.equal(again.exitCode, 1);
  assert.match(again.stderr, /postlane\.yaml is there already and stays as it is/);
  const forced = await runCommand(place, ["init", "--yes", "--force", "--no-test", "--ways-in", "smtp", "--json"]);
  assert.deepEqual([forced.exitCode, (JSON.parse(forced.stdout) as InitTold).key], [0, null], forced.stderr);
});

test("without a terminal, what is missing is named, and nothing is written", async (t) => {
  const place = makePlace(t);
  const bare = await runCommand(place, ["init"]);
  assert.equal(bare.exitCode, 2);
  assert.match(bare.stderr, /missing: --mail-by, --from, --database, --ways-in, --test-to \(or --no-test\)/);
  const provider = await runCommand(place, ["init", "--yes", "--mail-by", "provider"]);
  assert.match(provider.stderr, /missing: --host, --user, --password-file/);
  for (const [flags, problem] of [
    [["--mail-by", "pigeon"], /--mail-by is one of postfix, relay, provider, capture/],
    [["--from", "nobody"], /--from: Not a mailbox \(no @\)/],
    [["--mail-by", "relay", "--host", "a b"], /--host: Not a host/],
    [["--ways-in", "http,fax"], /--ways-in is one of http, smtp, sendmail, sql/],
    [["--database", "mysql://x"], /--database is "embedded", or an address/],
  ] as const) {
    const { exitCode, stderr } = await runCommand(place, ["init", "--yes", ...flags]);
    assert.equal(exitCode, 2, stderr);
    assert.match(stderr, problem);
  }
  assert.ok(!existsSync(path.join(place.dataDir, "postlane.yaml")));
});

test("through a Postfix, into a database of one's own", async (t) => {
  if (!needsPostfix(t)) return;
  const { databaseUrl } = await testDatabase(t);
  const sink = await startSmtpSink(t, { keep: true });
  const postfix = await startPostfix(t, { relayTo: sink });
  const place = makePlace(t);
  const ways = ["--mail-by", "postfix", "--host", `127.0.0.1:${postfix.port}`, "--ways-in", "smtp,sql"];
  const mail = ["--from", "Shop <shop@example.com>", "--test-to", "ann@example.com"];
  const flags = ["--yes", "--json", "--database", databaseUrl, ...ways, ...mail];
  const { exitCode, stdout, stderr } = await runCommand(place, ["init", ...flags]);
  assert.equal(exitCode, 0, stdout + stderr);
  const { test: told } = JSON.parse(stdout) as InitTold;
  assert.equal(told?.state, "sent");
  assert.match(told.said, /^250 2\.0\.0 Ok: queued as/);
  await sink.waitForCount(1, 30_000);
  assert.deepEqual(sink.kept()[0]?.rcptTo, ["ann@example.com"]);
});

test("a provider: the password is kept for its owner alone, and a refusal is told and fails", async (t) => {
  const provider = await startScriptedSink(t, {});
  const place = makePlace(t);
  const flags = ["--mail-by", "provider", "--host", `127.0.0.1:${provider.port}`, "--tls", "off", "--user", "site"];
  const { exitCode, stdout, stderr } = await runCommand(
    place,
    ["init", "--yes", "--json", ...flags, "--password-file", "-", "--from", "shop@example.com"],
    "s3cret\n",
  );
  // It offers no AUTH: what is written stays, and the command says that the mail did not go out.
  assert.equal(exitCode, 1, stdout + stderr);
  assert.equal((JSON.parse(stdout) as InitTold).test?.is_out, false);
  const password = path.join(place.dataDir, "smtp-password");
  assert.equal(readFileSync(password, "utf8"), "s3cret\n");
  assert.equal(statSync(password).mode & 0o777, 0o600);
  const written = path.join(place.dataDir, "postlane.yaml");
  assert.ok(!readFileSync(written, "utf8").includes("s3cret"));
  const { provider: outlet } = loadConfig({ cwd: place.dataDir, env: {} }).outlets;
  assert.ok(outlet?.type === "smtp" && outlet.auth?.password === "s3cret");
});

test("a database that does not do is told before anything is written", async (t) => {
  const place = makePlace(t);
  const nowhere = "postgres://postlane@127.0.0.1:1/site";
  const { exitCode, stderr } = await runCommand(place, ["init", "--yes", "--database", nowhere]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /The database does not do, and nothing was written/);
  assert.ok(!existsSync(path.join(place.dataDir, "postlane.yaml")));
});

test("at a terminal it asks, and takes what it finds as the first choice", { timeout: 120_000 }, async (t) => {
  const place = makePlace(t);
  const postfix = await findPostfix(hearGreeting);
  const main = path.resolve(import.meta.dirname, "../../src/doors/cli/main.js");
  // A terminal without a size breaks every line after its first letter.
  const command = `stty cols 120 rows 40; exec "${process.execPath}" "${main}" init`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    cwd: place.dataDir,
    env: {
      PATH: process.env["PATH"],
      TERM: "xterm",
      POSTLANE_LISTEN__HTTP: "127.0.0.1:0",
      POSTLANE_LISTEN__SMTP: "127.0.0.1:0",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  endWithTest(t, child);
  const steps: readonly (readonly [RegExp, string])[] = [
    // Upwards from the first is the last: keep it on this machine.
    [/How does mail leave/, postfix?.isListening === true ? "\u001B[A\r" : "\r"],
    [/Whom is mail from/, "Shop <shop@example.com>\r"],
    [/Which database/, "\r"],
    [/Which ways in/, "\r"],
    [/Where does a test mail go/, "\r"],
  ];
  let said = "";
  let next = 0;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
    const [question, keys] = steps[next] ?? [];
    if (question === undefined || !question.test(said)) return;
    next++;
    said = said.replace(question, "(asked)");
    child.stdin.write(keys!);
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  assert.equal(exitCode, 0, said);
  assert.equal(next, steps.length, said);
  const config = loadConfig({ cwd: place.dataDir, env: {} });
  assert.equal(config.from, "Shop <shop@example.com>");
  assert.equal(config.outlets["default"]?.type, "capture");
  await removeEmbedded(config.dataDir);
});
