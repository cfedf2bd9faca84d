// Programs of the world that call sendmail: PHP's mail(), git send-email, and cron as it does it. What they sent is read
// by another parser where a door took it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import PostalMime from "postal-mime";
import { needs } from "../rig/needs.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { SENDMAIL, sendmailRig, type SendmailRig } from "./sendmail-command.ts";

const run = promisify(execFile);

/** As an operator would put it into /usr/sbin/sendmail. */
function linkedSendmail(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-linked-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "sendmail");
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${SENDMAIL}' "$@"\n`, { mode: 0o755 });
  return file;
}

async function startRig(t: TestContext): Promise<{ readonly rig: SendmailRig; readonly sink: Sink }> {
  const sink = await startScriptedSink(t);
  return { sink, rig: sendmailRig(t, `127.0.0.1:${sink.port}`) };
}

type Sink = Awaited<ReturnType<typeof startScriptedSink>>;

test("PHP's mail() sends", async (t) => {
  if (!needs(t, "php")) return;
  const { rig, sink } = await startRig(t);
  const script = String.raw`
    $headers = ["From" => "Shop <shop@example.com>", "Cc" => "bob@example.com", "Bcc" => "archive@example.com",
      "MIME-Version" => "1.0", "Content-Type" => "text/plain; charset=utf-8"];
    $subject = "=?UTF-8?B?" . base64_encode("Grüße aus dem Laden") . "?=";
    exit(mail("Ann <ann@example.com>", $subject, "Grüße\n.\n..Ann\n", $headers, "-fbounces@example.com") ? 0 : 1);`;
  const sendmail = `${linkedSendmail(t)} -t -i`;
  await run("php", ["-n", "-d", `sendmail_path=${sendmail}`, "-r", script], {
    env: rig.env,
  });
  const [mail] = sink.accepted;
  assert.equal(mail!.sender, "bounces@example.com");
  assert.deepEqual(mail!.recipients, ["ann@example.com", "bob@example.com", "archive@example.com"]);
  assert.match(mail!.mailParameters, /BODY=8BITMIME/);
  const read = await PostalMime.parse(mail!.content);
  assert.equal(read.subject, "Grüße aus dem Laden");
  assert.deepEqual(read.from, { address: "shop@example.com", name: "Shop" });
  assert.equal(read.bcc, undefined);
  assert.equal(read.text?.trimEnd(), "Grüße\n.\n..Ann");
  assert.deepEqual(sink.breaches, []);
});

test("PHP's mail() hears that it was refused", async (t) => {
  if (!needs(t, "php")) return;
  const { rig } = await startRig(t);
  const script = 'exit(mail("ann@example..com", "x", "x") ? 0 : 7);';
  const sendmail = `${linkedSendmail(t)} -t -i`;
  const failed = run("php", ["-n", "-d", `sendmail_path=${sendmail}`, "-r", script], { env: rig.env });
  await assert.rejects(failed, (error: { code?: number; stderr?: string }) => {
    assert.equal(error.code, 7);
    assert.match(error.stderr ?? "", /the recipient "ann@example\.\.com"/);
    return true;
  });
});

test("git send-email sends a patch", async (t) => {
  if (!needs(t, "git-send-email")) return;
  const { rig, sink } = await startRig(t);
  const repository = mkdtempSync(path.join(tmpdir(), "postlane-git-"));
  t.after(() => rmSync(repository, { recursive: true, force: true }));
  const env = { ...rig.env, HOME: repository, GIT_CONFIG_NOSYSTEM: "1" };
  const git = (...args: readonly string[]) => run("git", args, { cwd: repository, env });
  await git("init", "-q");
  for (const [key, value] of [
    ["user.name", "Ann"],
    ["user.email", "ann@example.com"],
  ] as const)
    await git("config", key, value);
  await git("commit", "-q", "--allow-empty", "-m", "first");
  writeFileSync(path.join(repository, "a.txt"), "one\n");
  await git("add", ".");
  await git("commit", "-q", "-m", "Add a line");
  const server = `--smtp-server=${linkedSendmail(t)}`;
  await git(
    "send-email",
    server,
    "--to=list@example.com",
    "--confirm=never",
    "--envelope-sender=ann@example.com",
    "-1",
  );
  const [mail] = sink.accepted;
  assert.deepEqual([mail!.sender, mail!.recipients.includes("list@example.com")], ["ann@example.com", true]);
  assert.match((await PostalMime.parse(mail!.content)).subject ?? "", /\[PATCH\] Add a line/);
});
