// docs/start.md, run as it stands: every block marked `ci`, in order, with a real Postfix behind, and in the end every mail
// that the guide sends is in the sink. What stands for the machine's places is replaced here, and only here:
//   127.0.0.1:25, :2525, :2580   free ports; in the sources also `2525` alone
//   /etc/postlane, /var/lib/postlane, /usr/local/bin   folders of the test
// `sudo`, `postlane` and `postlane-sendmail` are what the machine would have after step 1.

import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { removeEmbedded } from "../../src/postgres/embedded.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { freePort, startSmtpSink } from "../rig/smtp-sink.ts";
import { projectRoot } from "../tidy/source-tree.ts";
import { endWithTest, lineOf } from "./cli-command.ts";

const GUIDE = path.join(projectRoot, "docs/start.md");

interface Block {
  readonly language: string;
  /** `needs`, `name`, `up`. */
  readonly marks: ReadonlyMap<string, string>;
  readonly text: string;
}

interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  replaced(text: string): string;
}

test("the guide's commands work as they stand", { timeout: 240_000 }, async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startSmtpSink(t, { keep: true });
  const postfix = await startPostfix(t, { relayTo: sink });
  const place = await makePlace(t, postfix.port);
  let supervisor: ChildProcess | undefined;
  const expected = ["Postlane works"];
  for (const block of markedBlocks(readFileSync(GUIDE, "utf8"))) {
    if (isLacking(t, block)) continue;
    const name = block.marks.get("name");
    if (name !== undefined) writeFileSync(path.join(place.folder, name), place.replaced(block.text));
    else if (block.marks.has("up")) supervisor = await startUp(t, place, block);
    else runBlock(place, block);
    expected.push(...subjectsSentBy(block, place));
  }
  await sink.waitForCount(expected.length, 60_000);
  assert.deepEqual(sink.kept().map(subjectOf).toSorted(), expected.toSorted());
  const texts = sink.kept().map(({ content }) => content.toString("latin1"));
  assert.ok(!texts.some((text) => /^X-Postlane-Lane:/im.test(text)), "the lane is ours alone");
  await stop(supervisor!);
});

test("every block of the guide that looks like a command is marked, or is what one sees", () => {
  const guide = readFileSync(GUIDE, "utf8");
  const infos = [...guide.matchAll(/^```(\S.*)$/gm)].map(([, info = ""]) => info);
  assert.deepEqual(
    infos.filter((info) => !/^\w+ ci(?: |$)/.test(info)),
    [],
  );
  assert.ok(infos.length >= 15, `only ${infos.length} blocks`);
});

function markedBlocks(guide: string): readonly Block[] {
  return [...guide.matchAll(/^```(\w+) ci(.*)\n([^]*?)^```$/gm)].map(([, language = "", info = "", text = ""]) => ({
    language,
    marks: new Map(
      info
        .trim()
        .split(" ")
        .map((mark) => [mark.split("=")[0]!, mark.split("=")[1] ?? ""] as const),
    ),
    text,
  }));
}

// ---- what the machine has

/** Undefined: never, in a test. */
const LOOKS: Readonly<Record<string, (() => boolean) | undefined>> = {
  apt: undefined,
  systemd: undefined,
  php: () => existsSync("/usr/bin/php"),
  curl: () => existsSync("/usr/bin/curl"),
  // Debian's, which has the modules of its packages; another one may stand before it.
  django: () => succeeds("/usr/bin/python3", ["-c", "import django"]),
  rails: () => succeeds("/usr/bin/ruby", ["-e", "require 'action_mailer'"]),
};

function succeeds(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

function isLacking(t: TestContext, { marks, text }: Block): boolean {
  const need = marks.get("needs");
  if (need === undefined) return false;
  assert.ok(Object.hasOwn(LOOKS, need), `the guide needs "${need}", which this test does not know`);
  const look = LOOKS[need];
  if (look?.() === true) return false;
  if (look !== undefined && process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`needs ${need}`);
  process.stderr.write(`SKIPPED: a block of docs/start.md that needs ${need}: ${text.split("\n")[0]} (${t.name})\n`);
  return true;
}

async function makePlace(t: TestContext, postfixPort: number): Promise<Place> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-start-"));
  chmodSync(folder, 0o711);
  const dataDir = path.join(folder, "lib");
  t.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(folder, { recursive: true, force: true });
  });
  const bin = path.join(folder, "bin");
  mkdirSync(bin);
  writeProgram(path.join(bin, "sudo"), 'exec "$@"');
  const programs = { postlane: "cli/main.js", "postlane-sendmail": "sendmail/sendmail.js" };
  for (const [name, main] of Object.entries(programs)) {
    writeProgram(path.join(bin, name), `exec "${process.execPath}" "${projectRoot}/dist/src/doors/${main}" "$@"`);
  }
  mkdirSync(path.join(folder, "node_modules"));
  symlinkSync(projectRoot, path.join(folder, "node_modules/postlane"));
  symlinkSync(path.join(projectRoot, "node_modules/nodemailer"), path.join(folder, "node_modules/nodemailer"));

  const [smtpPort, httpPort] = [await freePort(), await freePort()];
  return {
    folder,
    env: {
      PATH: `${bin}:${path.dirname(process.execPath)}:/usr/bin:${process.env["PATH"]}`,
      HOME: folder,
      POSTLANE_LISTEN__HTTP: `127.0.0.1:${httpPort}`,
      POSTLANE_LISTEN__SMTP: `127.0.0.1:${smtpPort}`,
      POSTLANE_OUTLETS__POSTFIX__HOSTS: `127.0.0.1:${postfixPort}`,
      POSTLANE_SMTP: `127.0.0.1:${smtpPort}`,
      POSTLANE_SPOOL: path.join(folder, "spool"),
    },
    replaced: (text) =>
      text
        .replaceAll("/etc/postlane", path.join(folder, "etc"))
        .replaceAll("/var/lib/postlane", dataDir)
        .replaceAll("/usr/local/bin", bin)
        .replaceAll("127.0.0.1:2580", `127.0.0.1:${httpPort}`)
        .replaceAll(/\b2525\b/g, String(smtpPort)),
  };
}

function writeProgram(file: string, command: string): void {
  writeFileSync(file, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
}

// ---- running it

function runBlock({ folder, env, replaced }: Place, { language, text }: Block): void {
  assert.equal(language, "sh");
  const { status, stdout, stderr } = spawnSync("sh", ["-euc", replaced(text)], { cwd: folder, env, encoding: "utf8" });
  assert.equal(status, 0, `${text}\n${stdout}${stderr}`);
}

async function startUp(t: TestContext, { folder, env, replaced }: Place, { text }: Block): Promise<ChildProcess> {
  const child = spawn("sh", ["-euc", `exec ${replaced(text)}`], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  endWithTest(t, child);
  // In any order.
  await Promise.all(
    [/^front: listens/, /^smtp: smtp listens/, /^dispatcher bulk: ready/].map((line) => lineOf(child, line)),
  );
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  const [exitCode] = (await once(child, "exit")) as [number | null];
  assert.equal(exitCode, 0);
}

/** The subjects in what a command runs: in itself, or in the file that it names. The newsletter goes to two. */
function subjectsSentBy({ language, marks, text }: Block, { folder }: Place): readonly string[] {
  if (language !== "sh" || marks.has("up")) return [];
  const files = [...text.matchAll(/\b([\w-]+\.(?:php|mjs|py|rb))\b/g)].map(([, name]) => path.join(folder, name!));
  const sources = [text, ...files.map((file) => readFileSync(file, "utf8"))];
  return sources.flatMap((source) => {
    const found = [...source.matchAll(/"((?:Reset your password|News of the week)[^"]*)"/g)].map(
      ([, subject]) => subject!,
    );
    return source.includes("foreach") ? [...found, ...found] : found;
  });
}

function subjectOf({ content }: { readonly content: Buffer }): string {
  return /^Subject: (.*?)\r?$/m.exec(content.toString("utf8"))?.[1] ?? "";
}
