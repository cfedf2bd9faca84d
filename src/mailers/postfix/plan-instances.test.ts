import assert from "node:assert/strict";
import { test } from "node:test";
import { OUR_MARK } from "./instance-files.ts";
import { planInstances, startCommands, type PlanSettings } from "./plan-instances.ts";
import { parseSettings, parseTime } from "./read-instance.ts";

const SETTINGS: PlanSettings = {
  root: "/var/spool/postlane-postfix",
  instances: [
    { name: "transactional", role: "transactional" },
    { name: "bulk", role: "bulk" },
    { name: "retries", role: "retries" },
  ],
  firstPort: 10_125,
  hostname: "mail.example.com",
  returnsDomain: "returns.example.com",
  returnsUser: { name: "postlane", uid: 900, gid: 901 },
  mailOwner: { name: "postfix", uid: 102, gid: 105 },
};

const filesOf = (settings: PlanSettings): ReadonlyMap<string, string> =>
  new Map(planInstances(settings).steps.flatMap((step) => (step.kind === "file" ? [[step.path, step.content]] : [])));

const mainCf = (name: string, settings = SETTINGS): Readonly<Record<string, string>> =>
  parseSettings(filesOf(settings).get(`${settings.root}/${name}/config/main.cf`)!);

test("folders come before what is in them, and main.cf last of each instance", () => {
  const paths = planInstances(SETTINGS).steps.map((step) => step.path);
  assert.equal(paths[0], SETTINGS.root);
  assert.equal(new Set(paths).size, paths.length);
  for (const [index, at] of paths.entries()) {
    if (index === 0) continue;
    assert.ok(paths.slice(0, index).includes(at.slice(0, at.lastIndexOf("/"))), at);
  }
  assert.ok(paths.at(-1)!.endsWith("/retries/config/main.cf"));
  assert.ok(paths.every((at) => at.startsWith(SETTINGS.root)));
});

test("the queue is root's, the data postfix's, the Maildir the agent's", () => {
  const owners = new Map(planInstances(SETTINGS).steps.map((step) => [step.path, `${step.owner.uid} ${step.mode}`]));
  const at = `${SETTINGS.root}/bulk`;
  assert.equal(owners.get(`${at}/queue`), `0 ${0o755}`);
  assert.equal(owners.get(`${at}/data`), `102 ${0o700}`);
  assert.equal(owners.get(`${at}/returns/new`), `900 ${0o700}`);
  assert.equal(owners.get(`${at}/config/main.cf`), `0 ${0o644}`);
});

test("each instance has its own folders, name, port and lifetime", () => {
  const names = ["transactional", "bulk", "retries"];
  for (const setting of ["queue_directory", "data_directory", "maillog_file", "multi_instance_name"]) {
    assert.equal(new Set(names.map((name) => mainCf(name)[setting])).size, 3, setting);
  }
  assert.deepEqual(
    names.map((name) => mainCf(name)["maximal_queue_lifetime"]),
    ["15m", "30m", "5m"],
  );
  const masters = [...filesOf(SETTINGS)].filter(([file]) => file.endsWith("master.cf")).map(([, text]) => text);
  assert.deepEqual(
    masters.map((text) => /^127\.0\.0\.1:(\d+) inet /m.exec(text)?.[1]),
    ["10125", "10126", "10127"],
  );
});

test("times fit together in each role", () => {
  for (const name of ["transactional", "bulk", "retries"]) {
    const ms = (setting: string): number => parseTime(mainCf(name)[setting]!, "s")!;
    assert.equal(ms("bounce_queue_lifetime"), ms("maximal_queue_lifetime"));
    assert.ok(ms("queue_run_delay") <= ms("minimal_backoff_time"));
    assert.ok(ms("minimal_backoff_time") <= ms("maximal_backoff_time"));
    assert.ok(ms("maximal_backoff_time") <= ms("maximal_queue_lifetime"));
  }
});

test("every line of a file is a comment or a setting, and the first one is our mark", () => {
  for (const [file, text] of filesOf(SETTINGS)) {
    assert.equal(text.split("\n", 1)[0], OUR_MARK);
    if (!file.endsWith("main.cf")) continue;
    for (const line of text.split("\n")) assert.match(line, /^(?:|#.{1,120}|[a-z_0-9]+ =(?: .+)?)$/);
  }
});

test("relayhost is set only when it is wanted", () => {
  assert.equal(mainCf("bulk")["relayhost"], undefined);
  assert.equal(mainCf("bulk", { ...SETTINGS, relayhost: "[r.test]:587" })["relayhost"], "[r.test]:587");
});

test("the configuration that is printed names each outlet, its port and where retries go", () => {
  const plan = planInstances(SETTINGS);
  assert.equal(
    plan.yaml,
    `lanes:
  transactional: { outlets: [transactional] }
  bulk: { outlets: [bulk] }
outlets:
  transactional:
    type: smtp
    hosts: ["127.0.0.1:10125"]
    retry_outlet: retries
    gauge: { type: postfix, config_dir: "/var/spool/postlane-postfix/transactional/config" }
  bulk:
    type: smtp
    hosts: ["127.0.0.1:10126"]
    retry_outlet: retries
    gauge: { type: postfix, config_dir: "/var/spool/postlane-postfix/bulk/config" }
  retries:
    type: smtp
    hosts: ["127.0.0.1:10127"]
    gauge: { type: postfix, config_dir: "/var/spool/postlane-postfix/retries/config" }
`,
  );
  assert.equal(startCommands(plan)[1], "postfix -c /var/spool/postlane-postfix/bulk/config start");
});
