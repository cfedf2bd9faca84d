// `postlane send`, `campaign`, `captured` and `up` as child processes: from a command to captured mail.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, jsonOf, lineOf, runCommand, startCommand } from "./cli-command.ts";

interface Sent {
  readonly submission: string;
  readonly messages: readonly string[];
  readonly is_lane_served: boolean;
}

interface Campaign {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly books: {
    readonly accepted: number;
    readonly waiting: number;
    readonly states: Readonly<Record<string, number>>;
  };
}

test("send queues an email, prints its ids, and says when nobody sends it", async (t) => {
  const database = await testDatabase(t);
  const { exitCode, stdout, stderr } = await runCommand(
    database,
    ["send", "--subject", "Report", "--to", "Ann <ann@example.com>", "--cc", "bob@example.com"].concat(
      ["--header", "X-Order: 4711", "--reply-to", "desk@example.com"],
      ["--text", "-", "--html", "<p>Hi"],
    ),
    "from standard input",
  );
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^sub_\d+: 2 messages accepted\n {2}msg_\d+\n {2}msg_\d+\n$/);
  assert.match(stderr, /queued; run `postlane up` to send it/);
  const { rows } = await database.pool.query<{ body: Readonly<Record<string, unknown>> }>(
    "SELECT body FROM postlane.content",
  );
  const { text, html, headers, reply_to } = rows[0]!.body;
  assert.deepEqual(
    { text, html, headers, reply_to },
    { text: "from standard input", html: "<p>Hi", headers: { "X-Order": "4711" }, reply_to: ["desk@example.com"] },
  );
});

test("send: the same idempotency key answers the same submission; --at and --expires are kept", async (t) => {
  const database = await testDatabase(t);
  const args = [
    "send",
    "--to",
    "ann@example.com",
    "--subject",
    "Later",
    "--text",
    "Hi",
    "--idempotency-key",
    "order-4711",
  ];
  const times = ["--at", "2999-01-01T00:00:00Z", "--expires", "2999-01-02T00:00:00Z"];
  const first = await jsonOf<Sent>(database, [...args, ...times]);
  assert.deepEqual(await jsonOf<Sent>(database, [...args, ...times]), first);
  assert.equal(first.is_lane_served, false);
  const story = await jsonOf<{ state: string; due_at: string }>(database, ["message", "show", first.messages[0]!]);
  assert.deepEqual([story.state, story.due_at], ["scheduled", "2999-01-01T00:00:00.000Z"]);
  const other = await runCommand(database, args);
  assert.equal(other.exitCode, 1);
  assert.match(other.stderr, /idempotency key 'order-4711' was used for another email/);
});

test("send refuses with the reason and what to do", async (t) => {
  const database = await testDatabase(t);
  const good = ["send", "--to", "ann@example.com", "--subject", "Hello"];
  const bad = await runCommand(database, ["send", "--to", "ann@", "--subject", "Hello", "--text", "Hi"]);
  assert.equal(bad.exitCode, 1);
  assert.match(
    bad.stderr,
    /^postlane: The email was refused: field "to": 'ann@' is not an address: .*Give "local@domain"/,
  );
  const lane = await runCommand(database, [...good, "--text", "Hi", "--lane", "blk", "--json"]);
  assert.equal((JSON.parse(lane.stdout) as { error: { code: string } }).error.code, "PL003");
  for (const [args, said] of [
    [[], /nothing to say: give --text, --html, or both/],
    [["--text", "Hi", "--header", "nonsense"], /is no header field: expected "Name: value"/],
    [["--txt", "Hi"], /unknown option '--txt'/],
  ] as const) {
    const { exitCode, stderr } = await runCommand(database, [...good, ...args]);
    assert.equal(exitCode, 2);
    assert.match(stderr, said);
  }
});

test("campaign send imports and starts; status, pause, resume, list and cancel steer it", async (t) => {
  const database = await testDatabase(t);
  writeCampaign(database);
  const args = ["campaign", "send", "--list", "march.csv", "--template", "newsletter"];
  const sent = await runCommand(database, args);
  assert.equal(sent.exitCode, 0, sent.stderr);
  assert.match(sent.stdout, /^march \(cmp_\d+\) is started: 3 messages queued from 4 rows\n/);
  assert.match(sent.stdout, /1 row rejected, each with its reason in march\.rejects\.csv/);
  assert.match(sent.stderr, /queued; run `postlane up`/);
  const again = await jsonOf<{ accepted: number; doubled: number }>(database, args);
  assert.deepEqual([again.accepted, again.doubled], [0, 3]);

  const running = await jsonOf<Campaign & { rate_per_s: number; eta_s: null }>(database, [
    "campaign",
    "status",
    "march",
  ]);
  assert.deepEqual(
    [running.status, running.books.accepted, running.rate_per_s, running.eta_s],
    ["running", 3, 0, null],
  );
  const pausing = await runCommand(database, ["campaign", "pause", "march"]);
  assert.match(pausing.stdout, /^march \(cmp_\d+\) is paused: 0 messages handed over by now, 3 waiting\n$/);
  assert.equal((await jsonOf<Campaign>(database, ["campaign", "status", running.id])).status, "paused");
  const paused = await runCommand(database, ["campaign", "pause", "march"]);
  assert.equal(paused.exitCode, 0, "what is so already is no failure");
  assert.match((await runCommand(database, ["campaign", "resume", "march"])).stdout, /is running again/);

  const canceled = await runCommand(database, ["campaign", "cancel", "march"]);
  assert.deepEqual(
    [canceled.exitCode, canceled.stdout],
    [0, `march (${running.id}) is canceled: 3 of 3 messages withdrawn\n`],
  );
  const { campaigns } = await jsonOf<{ campaigns: readonly Campaign[] }>(database, ["campaign", "list"]);
  assert.deepEqual(
    campaigns.map(({ name, status, books }) => [name, status, books.waiting, books.states["canceled"]]),
    [["march", "canceled", 0, 3]],
  );
  const resumed = await runCommand(database, ["campaign", "resume", "march"]);
  assert.equal(resumed.exitCode, 1);
  assert.match(
    resumed.stderr,
    /Campaign "march" is canceled: resume is not possible. `campaign send-rest` sends to those who did not get it/,
  );
  assert.match((await runCommand(database, ["campaign", "status", "may"])).stderr, /There is no campaign "may"/);
});

test("campaign send refuses a list with empty cells, shows them, and goes on with --allow-empty", async (t) => {
  const database = await testDatabase(t);
  writeCampaign(database, "Hello {{ name }}\n", "email,name\nann@example.com,Ann\nbob@example.com,\n");
  const args = ["campaign", "send", "--list", "march.csv", "--template", "newsletter"];
  const refused = await runCommand(database, args);
  assert.equal(refused.exitCode, 1);
  assert.match(
    refused.stderr,
    /not started, and nothing was queued:\n {2}1 rows? .*\n {2}line 3, bob@example\.com: name is empty/,
  );
  const { error } = JSON.parse((await runCommand(database, [...args, "--json"])).stdout) as {
    error: { code: string; problems: readonly string[] };
  };
  assert.equal(error.code, "empty_cells");
  assert.equal((await jsonOf<{ accepted: number }>(database, [...args, "--allow-empty"])).accepted, 2);
});

test("up sends what was queued; captured and status show it; SIGTERM ends it cleanly", async (t) => {
  const database = await testDatabase(t);
  const { messages } = await jsonOf<Sent>(database, [
    "send",
    "--to",
    "ann@example.com",
    "--subject",
    "Grüße",
    "--text",
    "Hi",
  ]);
  const up = startCommand(database, ["up"]);
  endWithTest(t, up);
  assert.match(await lineOf(up, /nothing leaves this machine/), /outlet "default" keeps mail in /);
  await untilSent(database, t);
  const shown = await runCommand(database, ["message", "show", messages[0]!]);
  assert.match(shown.stdout, /state {6}sent \(captured\)\n/);
  const { messages: captured } = await jsonOf<{
    messages: readonly { name: string; subject: string; recipient: string }[];
  }>(database, ["captured", "list"]);
  assert.deepEqual(
    captured.map(({ subject, recipient }) => [subject, recipient]),
    [["Grüße", "ann@example.com"]],
  );
  const latest = await runCommand(database, ["captured", "show", "latest"]);
  assert.match(latest.stdout, /^Delivered-To: ann@example\.com\r$/m);
  assert.equal((await runCommand(database, ["captured", "show", captured[0]!.name])).stdout, latest.stdout);
  const status = await runCommand(database, ["status"]);
  assert.match(status.stdout, /^transactional +running +1 /m);
  assert.match(status.stdout, /^sent \(captured\) +1 +0 +1$/m);
  const served = await runCommand(database, ["send", "--to", "bob@example.com", "--subject", "Hi", "--text", "Hi"]);
  assert.match(served.stderr, /`postlane captured show latest` shows what was sent/);
  up.kill("SIGTERM");
  const [exitCode] = (await once(up, "close")) as [number];
  assert.equal(exitCode, 0);
});

test("captured says when there is nothing, and refuses an outlet that captures nothing", async (t) => {
  const database = await testDatabase(t);
  assert.match((await runCommand(database, ["captured", "list"])).stdout, /^nothing was captured in \//);
  const missing = await runCommand(database, ["captured", "show", "latest"]);
  assert.deepEqual([missing.exitCode, missing.stdout], [1, ""]);
  assert.match(
    (await runCommand(database, ["captured", "list", "--outlet", "news"])).stderr,
    /no outlet of type capture/,
  );
});

test("a dispatcher of a lane that is not there is refused; a wrong configuration is explained", async (t) => {
  const database = await testDatabase(t);
  const lane = await runCommand(database, ["dispatcher", "--lane", "blk"]);
  assert.equal(lane.exitCode, 1);
  assert.match(lane.stderr, /There is no lane "blk"\. Lanes: transactional, bulk/);
  writeFileSync(path.join(database.dataDir, "wrong.yaml"), "lanes:\n  bulk: { ttl: soon }\n");
  const wrong = await runCommand(database, ["status", "--config", "wrong.yaml"]);
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /wrong\.yaml:2.*lanes\.bulk\.ttl/);
  assert.doesNotMatch(wrong.stderr, /\n {4}at /, "no stack trace");
});

test("without a database that runs, a command starts the embedded one for itself and stops it", async (t) => {
  const { dataDir } = await testDatabase(t);
  const sent = await runCommand({ dataDir }, ["send", "--to", "ann@example.com", "--subject", "Hello", "--text", "Hi"]);
  assert.equal(sent.exitCode, 0, sent.stderr);
  const { totals } = await jsonOf<{ totals: { accepted: number } }>({ dataDir }, ["status"]);
  assert.equal(totals.accepted, 1);
  const dispatcher = await runCommand({ dataDir }, ["dispatcher", "--lane", "bulk"]);
  assert.equal(dispatcher.exitCode, 1);
  assert.match(dispatcher.stderr, /is not running\. Start it with `postlane up`/);
});

function writeCampaign(
  { dataDir }: TestDatabase,
  text = 'Hello {{ name | default: "friend" }}\n',
  list = "email,name\nann@example.com,Ann\nbob@example.com,\nnobody,Nobody\ncid@example.com,Cid\n",
): void {
  const folder = path.join(dataDir, "newsletter");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "template.yaml"), "from: News <news@example.com>\nsubject: News for {{ email }}\n");
  writeFileSync(path.join(folder, "body.txt"), text);
  writeFileSync(path.join(dataDir, "march.csv"), list);
}

async function untilSent({ pool }: TestDatabase, t: TestContext): Promise<void> {
  while (!t.signal.aborted) {
    const { rowCount } = await pool.query("SELECT FROM postlane.event WHERE kind = 'sent'");
    if (rowCount! > 0) return;
  }
}
