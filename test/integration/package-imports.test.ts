// The package as another project sees it: its two entries are found by name, run, and have types.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { projectRoot } from "../tidy/source-tree.ts";

const PROGRAM = `
import nodemailer from "nodemailer";
import { createClient, PostlaneError, type Email } from "postlane/client";
import { postlaneTransport } from "postlane/nodemailer";

const email: Email = { to: ["ann@example.com"], subject: "x", text: "x", scheduled_at: new Date(0) };
const client = createClient({ key: "k" });
export const sent: () => Promise<{ readonly id: string }> = () => client.send(email, { idempotencyKey: "1" });
export const transporter = nodemailer.createTransport(postlaneTransport({ port: 2525 }));
export const response = async (): Promise<string> => (await transporter.sendMail({ to: "a@example.com" })).response;
// @ts-expect-error an email goes to somebody
export const wrong = () => client.send({ text: "x" });
console.log(new PostlaneError("x", { code: "y" }).code, typeof client.sendBatch, transporter.transporter.name);
`;

test("another project imports the client and the transport, with types", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-consumer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const modules = path.join(folder, "node_modules");
  mkdirSync(modules);
  symlinkSync(projectRoot, path.join(modules, "postlane"));
  for (const name of ["nodemailer", "@types", "undici-types"])
    symlinkSync(path.join(projectRoot, "node_modules", name), path.join(modules, name));
  writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(path.join(folder, "program.ts"), PROGRAM);
  const tsc = path.join(projectRoot, "node_modules/typescript/bin/tsc");
  const options = ["--strict", "--module", "nodenext", "--target", "es2023", "--types", "node", "--preserveSymlinks"];
  const compiled = spawnSync(process.execPath, [tsc, ...options, "program.ts"], { cwd: folder, encoding: "utf8" });
  assert.equal(compiled.stdout + compiled.stderr, "");
  const run = spawnSync(process.execPath, ["program.js"], { cwd: folder, encoding: "utf8" });
  assert.match(run.stdout, /^y function Postlane\n/, run.stderr);
});
