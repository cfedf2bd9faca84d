// Uploads on the disk: what is whole is named after its octets, what is not leaves nothing, and what a front that is gone has
// left is removed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { test, type TestContext } from "node:test";
import { receiveFile, removeLeftUploads } from "./upload-file.ts";

test("a file is there until it is removed, readable to nobody else, and the same octets have the same name", async (t) => {
  const dataDir = folderOf(t);
  const first = await receiveFile(Readable.from([Buffer.from("ab"), Buffer.from("cd")]), dataDir, 4);
  const second = await receiveFile(Readable.from([Buffer.from("abcd")]), dataDir, 4);
  assert.equal(readFileSync(first.file, "utf8"), "abcd");
  assert.equal(statSync(first.file).mode & 0o777, 0o600);
  assert.notEqual(first.file, second.file);
  assert.equal(path.basename(first.file), path.basename(second.file));
  await Promise.all([first.remove(), second.remove()]);
  assert.deepEqual(leftIn(dataDir), []);
});

test("what is too large or ends early leaves nothing", async (t) => {
  const dataDir = folderOf(t);
  const large = Readable.from([Buffer.from("ab"), Buffer.from("cde")]);
  await assert.rejects(receiveFile(large, dataDir, 4), { code: "body_too_large" });
  const broken = Readable.from(
    (function* () {
      yield Buffer.from("ab");
      throw new Error("aborted");
    })(),
  );
  await assert.rejects(receiveFile(broken, dataDir, 4), { code: "bad_request" });
  assert.deepEqual(leftIn(dataDir), []);
});

test("only what fronts that are gone have left is removed", async (t) => {
  const dataDir = folderOf(t);
  const gone = spawn(process.execPath, ["-e", ""]);
  await once(gone, "close");
  const ours = await receiveFile(Readable.from([Buffer.from("ab")]), dataDir, 4);
  mkdirSync(path.join(dataDir, "uploads", `${gone.pid}-1-left`));
  mkdirSync(path.join(dataDir, "uploads", `${process.pid}-1-reused`));
  removeLeftUploads(dataDir);
  assert.deepEqual(leftIn(dataDir), [path.basename(path.dirname(ours.file))]);
});

function leftIn(dataDir: string): readonly string[] {
  return readdirSync(path.join(dataDir, "uploads"));
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-uploads-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
