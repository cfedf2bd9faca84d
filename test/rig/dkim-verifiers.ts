// Verifiers of DKIM that nobody here wrote: OpenDKIM, dkimpy, and mailauth where Node.js is new enough for it. They get
// the public keys from here; none of them asks the DNS.

import { execFile, spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { SigningKey } from "../../src/compose/signing-key.ts";
import { needs } from "./needs.ts";
import type { Scope } from "./scope.ts";

/** TXT records by their names. */
export type Records = Readonly<Record<string, string>>;

/** Answers a word for each signature, the first first: `pass`, or what is wrong with it. */
export type Verify = (mail: Buffer) => Promise<readonly string[]>;

export interface TestKeys {
  /** Ed25519 before RSA. */
  readonly keys: readonly SigningKey[];
  readonly records: Records;
}

export function makeTestKeys(domain: string): TestKeys {
  const ed25519 = generateKeyPairSync("ed25519");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    keys: [
      { domain, selector: "ed", algorithm: "ed25519", privateKey: ed25519.privateKey },
      { domain, selector: "rsa", algorithm: "rsa", privateKey: rsa.privateKey },
    ],
    records: {
      [`ed._domainkey.${domain}`]: `v=DKIM1; k=ed25519; p=${rawEd25519(ed25519.publicKey)}`,
      [`rsa._domainkey.${domain}`]: `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: "spki", format: "der" }).toString("base64")}`,
    },
  };
}

function rawEd25519(key: KeyObject): string {
  return Buffer.from(key.export({ format: "jwk" }).x!, "base64url").toString("base64");
}

const FIXTURES = path.resolve(import.meta.dirname, "../fixtures/dkim");
const run = promisify(execFile);

/** Undefined: a package is missing, and the test was skipped loudly. */
export async function openDkim(t: TestContext, records: Records): Promise<Verify | undefined> {
  if (!needs(t, "opendkim-testmsg") || !needs(t, "cc")) return undefined;
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-opendkim-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const library = path.join(folder, "keys-from-file.so");
  const source = path.join(FIXTURES, "keys-from-file.c");
  await run("cc", ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  const keys = path.join(folder, "keys");
  writeFileSync(keys, lines(Object.entries(records).map((record) => record.join(" "))));
  const env = { LD_PRELOAD: library, POSTLANE_TEST_DKIM_KEYS: keys };
  return (mail) =>
    new Promise((resolve) => {
      // It is content with one good signature, whichever.
      const child = spawn("/usr/sbin/opendkim-testmsg", ["-t", folder], { env, stdio: ["pipe", "ignore", "pipe"] });
      let complaint = "";
      child.stderr.on("data", (piece: Buffer) => (complaint += piece.toString()));
      child.once("close", (code) => resolve([code === 0 ? "pass" : `exit code ${code}: ${complaint.trim()}`]));
      child.stdin.end(mail);
    });
}

/** One Python process for all mails of the test. */
export function dkimpy(t: TestContext, records: Records): Verify | undefined {
  if (!needs(t, "dkimpy")) return undefined;
  return startDkimpy(t, records);
}

function startDkimpy(scope: Scope, records: Records): Verify {
  const child = spawn("/usr/bin/python3", [path.join(FIXTURES, "verify.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const waiting: ((line: string) => void)[] = [];
  createInterface(child.stdout).on("line", (line) => waiting.shift()?.(line));
  scope.after(async () => {
    child.stdin.end();
    await ended;
  });
  return async (mail) => {
    const signatures = mail.toString("latin1").match(/^DKIM-Signature:/gim)?.length ?? 0;
    const answer = new Promise<string>((resolve) => waiting.push(resolve));
    child.stdin.write(`${JSON.stringify({ mail: mail.toString("base64"), signatures, records })}\n`);
    return JSON.parse(await answer) as readonly string[];
  };
}

interface MailAuth {
  dkimVerify(
    mail: Buffer,
    options: { readonly resolver: (name: string, type: string) => Promise<readonly (readonly string[])[]> },
  ): Promise<{ readonly results: readonly { readonly status: { readonly result: string } }[] }>;
}

/** Node.js from which on mailauth runs. */
const MAILAUTH_NODE_MIN = 22;

/** Undefined: nobody installed it (POSTLANE_TEST_MAILAUTH names its folder), or it cannot run here. */
export async function mailAuth(t: TestContext, records: Records): Promise<Verify | undefined> {
  const folder = process.env["POSTLANE_TEST_MAILAUTH"];
  if (Number(process.versions.node.split(".")[0]) < MAILAUTH_NODE_MIN) {
    t.skip(`mailauth needs Node.js ${MAILAUTH_NODE_MIN}`);
    return undefined;
  }
  if (folder === undefined) {
    const line = "SKIPPED: needs mailauth, in the folder that POSTLANE_TEST_MAILAUTH names";
    if (process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`${t.name}: ${line}`);
    process.stderr.write(`${line} (${t.name})\n`);
    t.skip(line);
    return undefined;
  }
  const { dkimVerify } = (await import(pathToFileURL(path.join(folder, "lib/dkim/verify.js")).href)) as MailAuth;
  const resolver = async (name: string): Promise<readonly (readonly string[])[]> => {
    const record = records[name];
    if (record !== undefined) return [[record]];
    throw Object.assign(new Error(`no record ${name}`), { code: "ENOTFOUND" });
  };
  return async (mail) => (await dkimVerify(mail, { resolver })).results.map(({ status }) => status.result);
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join("");
}
