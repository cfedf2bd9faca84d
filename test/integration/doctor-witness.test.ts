// `postlane doctor disk --witness` and `postlane doctor witness` as real processes: on a disk whose power can be cut, honest
// and lying; after a mere SIGKILL; and a witness among strangers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { CUT_TOOLS, makeCutVolume } from "../../faults/rig/cut-volume.ts";
import { lackOf } from "../../faults/rig/tools.ts";
import {
  COMPARE_TOOLS,
  compareDisk,
  startWitness,
  startWriter,
  tryDisk,
  type Witness,
} from "../../faults/rig/witness.ts";
import { until } from "../rig/lane-mail.ts";
import { runCommand } from "./cli-command.ts";

const RECORDS_MIN = 300;

for (const isLying of [false, true]) {
  test(`after a power cut, ${isLying ? "a disk that lies is found out" : "an honest disk is called honest"}`, async (t) => {
    if (lacks(t)) return;
    const volume = await makeCutVolume(t, { megabytes: 128, isLying });
    const witness = await startWitness(t);
    for (let round = 1; round <= 2; round++) {
      const { verdict, exitCode, findings, losses } = await tryDisk(t, { witness, volume, recordsMin: RECORDS_MIN });
      assert.equal(verdict, isLying ? "lies" : "honest", findings.join("\n"));
      assert.equal(exitCode, isLying ? 1 : 0);
      const lost = Object.values(losses!).reduce((sum, { missing, torn }) => sum + missing + torn, 0);
      assert.equal(lost >= RECORDS_MIN / 2, isLying, `${lost} lost`);
    }
  });
}

test("a writer that was killed proves nothing, and the witness remembers it after its own end", async (t) => {
  const witness = await startWitness(t);
  const disk = folderOf(t);
  const writer = await startWriter(t, witness, disk, RECORDS_MIN);
  writer.kill("SIGKILL");
  await once(writer, "close");
  const { verdict, reason, exitCode, findings } = compareDisk(witness, disk);
  assert.deepEqual([verdict, reason, exitCode], ["unproven", "same_boot", 1]);
  assert.match(findings.join("\n"), /This proves nothing/);
  witness.child.kill("SIGTERM");
  assert.deepEqual(await once(witness.child, "close"), [0, null]);
});

test("Ctrl-C ends a trial, leaves nothing behind and nothing to compare", async (t) => {
  const witness = await startWitness(t);
  const disk = folderOf(t);
  const writer = await startWriter(t, witness, disk, RECORDS_MIN);
  writer.kill("SIGINT");
  assert.deepEqual(await once(writer, "close"), [0, null]);
  assert.equal(existsSync(path.join(disk, "postlane-witness")), false);
  assert.equal(compareDisk(witness, disk).reason, "unknown_run");
});

test("when the witness goes, the writer ends and says so", async (t) => {
  const witness = await startWitness(t);
  const writer = await startWriter(t, witness, folderOf(t), RECORDS_MIN);
  witness.child.kill("SIGKILL");
  assert.deepEqual(await once(writer, "close"), [1, null]);
});

test("strangers are refused, whatever they say, and the witness goes on", async (t) => {
  const witness = await startWitness(t);
  assert.match(await say(witness, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /^postlane-witness 1\nno line\n$/);
  assert.match(await say(witness, "hello 1 guess\n"), /no token\n$/);
  assert.match(await say(witness, "hello 7 guess\n"), /no version\n$/);
  assert.match(await say(witness, "told 1 1 1\n"), /no order\n$/);
  assert.match(await say(witness, "x".repeat(100_000)), /no line\n$/);
  assert.match(await say(witness, Buffer.from([0, 255, 254, 10, 13, 10])), /no line\n$/);
  assert.match(await say(witness, `hello 1 ${witness.token}\nlast nowhere\nnonsense\n`), /ok\nnone\nno line\n$/);
  const silent = Array.from({ length: 40 }, () => net.connect(portOf(witness), "127.0.0.1").on("error", () => {}));
  // Those beyond its limit are hung up on, some of them by a reset.
  await Promise.all(
    silent.map((socket) => new Promise<void>((heard) => socket.once("data", heard).once("close", heard))),
  );
  for (const socket of silent) socket.destroy();
  // Until it has seen that those are gone it is full.
  await until("the witness answers again", async () =>
    (await say(witness, `hello 1 ${witness.token}\nlast nowhere\n`, "none\n")).endsWith("ok\nnone\n"),
  );
});

test("what is wrong with the witness is said with what to do", async (t) => {
  const witness = await startWitness(t);
  const place = { dataDir: folderOf(t) };
  const ask = async (address: string, ...more: string[]) => {
    const args = ["doctor", "disk", place.dataDir, "--witness", address, ...more];
    const { exitCode, stderr } = await runCommand(place, args);
    return `${exitCode} ${stderr}`;
  };
  assert.match(await ask(witness.address), /^2 .*token/i);
  assert.match(await ask(witness.address, "--token", "guess"), /^1 .*does not know this token/);
  assert.match(await ask("127.0.0.1:1", "--token", "x"), /^1 .*no witness at 127\.0\.0\.1:1: ECONNREFUSED\. Start/);
  assert.match(await ask(await greeter(t, "postlane-witness 2"), "--token", "x"), /^1 .*speaks version 2, .* 1\./);
  assert.match(await ask(await greeter(t, "220 mail.example.com ESMTP"), "--token", "x"), /^1 .*is no witness/);
  assert.match(await ask("a b", "--token", "x"), /^2 /);
  const { exitCode, stderr } = await runCommand(place, ["doctor", "disk", "--compare"]);
  assert.match(`${exitCode} ${stderr}`, /^2 .*go with --witness/);
});

function lacks(t: TestContext): boolean {
  const lack = lackOf([...CUT_TOOLS, ...COMPARE_TOOLS]);
  if (lack === undefined) return false;
  if (lack.isProgram && process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(lack.sentence);
  process.stderr.write(`SKIPPED: ${lack.sentence} (${t.name})\n`);
  t.skip(lack.sentence);
  return true;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-witness-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function portOf({ address }: Witness): number {
  return Number(address.split(":").at(-1));
}

/** Everything that it answers until it hangs up, or until it has said the last words. */
async function say(witness: Witness, words: string | Buffer, last?: string): Promise<string> {
  const socket = net.connect(portOf(witness), "127.0.0.1").on("error", () => {});
  let heard = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    heard += chunk;
    if (last !== undefined && heard.endsWith(last)) socket.destroy();
  });
  socket.write(words);
  // Not events.once, which would throw the reset of a witness that is full.
  await new Promise((closed) => socket.once("close", closed));
  return heard;
}

/** A server that says one line. */
async function greeter(t: TestContext, line: string): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.write(`${line}\r\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}
