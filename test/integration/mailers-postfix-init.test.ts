// `postlane postfix init` and `check` as commands: the plan is shown and nothing is done, --apply does it once, and
// whatever stood there before stays as it was.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { startInstance, stopInstance } from "../../src/mailers/postfix/run-instance.ts";
import { needsPostfix } from "../rig/postfix.ts";
import { runCommand, type CommandEnd } from "./cli-command.ts";

interface Place {
  readonly dataDir: string;
  readonly root: string;
  init(...words: readonly string[]): Promise<CommandEnd>;
  /** Stopped at the end of the test. */
  start(configDir: string): Promise<void>;
}

/** Most tests here only write it down. Another run of this file at the same time has another one. */
const FIRST_PORT = 12_000 + 4 * (process.pid % 1900);

function makePlace(t: TestContext, config = "returns: { domain: returns.test }\n"): Place {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-init-"));
  chmodSync(dataDir, 0o755);
  const started = new Set<string>();
  t.after(async () => {
    // A mailer outlives its folder.
    for (const configDir of started) await stopInstance(configDir).catch(() => {});
    rmSync(dataDir, { recursive: true, force: true });
  });
  writeFileSync(path.join(dataDir, "postlane.yaml"), config);
  const root = path.join(dataDir, "instances");
  const always = [
    "postfix",
    "init",
    "--root",
    root,
    "--hostname",
    "relay.rig.test",
    "--first-port",
    String(FIRST_PORT),
  ];
  return {
    dataDir,
    root,
    init: (...words) => runCommand({ dataDir }, [...always, ...words]),
    async start(configDir) {
      started.add(configDir);
      await startInstance(configDir);
    },
  };
}

/** Every path below with its mode, owner and content. */
function pictureOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .toSorted()
    .map((name) => {
      const { mode, uid, gid } = statSync(path.join(folder, name));
      const content = name.endsWith(".cf") ? readFileSync(path.join(folder, name), "utf8") : "";
      return `${name} ${mode.toString(8)} ${uid}:${gid} ${content}`;
    });
}

test("without --apply nothing is made", async (t) => {
  if (!needsPostfix(t)) return;
  const { init, root } = makePlace(t);
  const { exitCode, stdout } = await init();
  assert.equal(exitCode, 0);
  assert.match(stdout, /Nothing is done yet: run it again with --apply/);
  assert.match(stdout, new RegExp(`postfix -c ${root}/bulk/config start`));
  assert.equal(existsSync(root), false);
});

test("--apply makes it, the second run has nothing to do, and the configuration that it prints is one", async (t) => {
  if (!needsPostfix(t)) return;
  const { init, root, dataDir, start } = makePlace(t);
  const made = JSON.parse((await init("--apply", "--json")).stdout) as {
    state: string;
    yaml: string;
    steps: readonly unknown[];
    instances: readonly { name: string; config_dir: string; port: number }[];
  };
  assert.equal(made.state, "applied");
  assert.equal(made.steps.length, 34);
  assert.deepEqual(
    made.instances.map(({ name, port }) => `${name} ${port}`),
    [`transactional ${FIRST_PORT}`, `bulk ${FIRST_PORT + 1}`, `retries ${FIRST_PORT + 2}`],
  );
  const before = pictureOf(root);
  const again = await init("--apply");
  assert.match(again.stdout, /Nothing to do: all of it is there as planned/);
  assert.deepEqual(pictureOf(root), before);

  writeFileSync(path.join(dataDir, "postlane.yaml"), `returns: { domain: returns.test }\n${made.yaml}`);
  for (const { config_dir } of made.instances) await start(config_dir);
  const check = await runCommand({ dataDir }, ["postfix", "check", "--json"]);
  assert.equal(check.exitCode, 0, check.stdout + check.stderr);
  assert.deepEqual(JSON.parse(check.stdout), {
    instances: made.instances.map(({ config_dir }) => ({
      config_dir,
      is_ours: true,
      is_running: true,
      findings: [],
    })),
  });
  await stopInstance(made.instances[1]!.config_dir);
  const stopped = await runCommand({ dataDir }, ["postfix", "check"]);
  assert.equal(stopped.exitCode, 1);
  assert.match(stopped.stdout, /wrong: it is not running\n +what to do: `postfix -c .*bulk\/config start`/);
});

test("another lane's instance is made beside those that are there", async (t) => {
  if (!needsPostfix(t)) return;
  const { init, root } = makePlace(t);
  await init("--apply");
  const before = pictureOf(path.join(root, "bulk"));
  const { exitCode } = await init("--apply", "--name", "alerts", "--first-port", String(FIRST_PORT + 3));
  assert.equal(exitCode, 0);
  assert.ok(existsSync(path.join(root, "alerts/config/main.cf")));
  assert.deepEqual(pictureOf(path.join(root, "bulk")), before);
});

const IN_THE_WAY: readonly (readonly [what: string, put: (root: string) => void, problem: RegExp])[] = [
  [
    "a file of an instance with other content",
    (root) => {
      mkdirSync(path.join(root, "retries/config"), { recursive: true });
      writeFileSync(path.join(root, "retries/config/main.cf"), "mine = yes\n", { mode: 0o644 });
    },
    /retries\/config\/main\.cf exists with other content/,
  ],
  [
    "a queue of somebody else",
    (root) => {
      mkdirSync(path.join(root, "retries/queue/deferred"), { recursive: true });
    },
    /retries\/queue holds something already \(deferred\)/,
  ],
  [
    "a folder with another mode",
    (root) => {
      mkdirSync(path.join(root, "retries"), { recursive: true });
      chmodSync(path.join(root, "retries"), 0o700);
    },
    /retries belongs to 0:0 with mode 700, not to root with mode 755/,
  ],
  [
    "a link in place of a folder",
    (root) => {
      mkdirSync(root);
      symlinkSync("/etc/postfix", path.join(root, "retries"));
    },
    /retries exists and is no folder/,
  ],
];

for (const [what, put, problem] of IN_THE_WAY) {
  test(`it stops before the first step when there is ${what}`, async (t) => {
    if (!needsPostfix(t)) return;
    const { init, root } = makePlace(t);
    put(root);
    const before = pictureOf(root);
    const { exitCode, stderr } = await init("--apply");
    assert.equal(exitCode, 1);
    assert.match(stderr, problem);
    assert.match(stderr, /Nothing was done/);
    assert.deepEqual(pictureOf(root), before);
  });
}

test("what was begun and broken off is finished", async (t) => {
  if (!needsPostfix(t)) return;
  const { init, root } = makePlace(t);
  await init("--apply");
  const whole = pictureOf(root);
  rmSync(path.join(root, "retries/config/main.cf"));
  rmSync(path.join(root, "retries/returns/cur"), { recursive: true });
  assert.equal((await init("--apply")).exitCode, 0);
  assert.deepEqual(pictureOf(root), whole);
});

test("a folder that Postfix's daemons cannot get through to is refused", async (t) => {
  if (!needsPostfix(t)) return;
  const { init, dataDir, root } = makePlace(t);
  chmodSync(dataDir, 0o700);
  const { exitCode, stderr } = await init("--apply");
  assert.equal(exitCode, 1);
  assert.match(stderr, /lets Postfix's daemons not pass/);
  assert.equal(existsSync(root), false);
});

const REFUSED: readonly (readonly [what: string, config: string, words: readonly string[], problem: RegExp])[] = [
  ["without a returns domain", "from: a@b.test\n", [], /Set `returns: \{ domain: … \}`/],
  [
    "with a lane called retries",
    "returns: { domain: r.test }\nlanes: { retries: {} }\n",
    [],
    /A lane is called "retries"/,
  ],
  ["as root's mail", "returns: { domain: r.test }\n", ["--user", "root"], /cannot be delivered as root/],
  [
    "for a user that does not exist",
    "returns: { domain: r.test }\n",
    ["--user", "nobody-here"],
    /no user "nobody-here"/,
  ],
  ["with a name that is no host", "returns: { domain: r.test }\n", ["--hostname", "vm"], /"vm" is no full name/],
  ["with a bad relayhost", "returns: { domain: r.test }\n", ["--relayhost", "a b"], /--relayhost is a host/],
  ["in /etc", "returns: { domain: r.test }\n", ["--root", "/etc/postfix"], /cannot be in \/etc/],
  ["with a name that is a path", "returns: { domain: r.test }\n", ["--name", "../x"], /cannot be a name/],
];

for (const [what, config, words, problem] of REFUSED) {
  test(`refused ${what}`, async (t) => {
    if (!needsPostfix(t)) return;
    const { init, root } = makePlace(t, config);
    const { exitCode, stderr } = await init("--apply", ...words);
    assert.ok(exitCode === 1 || exitCode === 2);
    assert.match(stderr, problem);
    assert.equal(existsSync(root), false);
  });
}

test("check without an instance says what to name", async (t) => {
  const { dataDir } = makePlace(t);
  const { exitCode, stderr } = await runCommand({ dataDir }, ["postfix", "check"]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /--config-dir/);
});
