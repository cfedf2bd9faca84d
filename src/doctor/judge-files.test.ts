import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { loadConfig } from "../platform/config.ts";
import { readFiles, type FileFacts } from "./file-facts.ts";
import type { FindingCode } from "./finding-catalogue.ts";
import { judgeFiles, type FileNeeds } from "./judge-files.ts";

const NEEDS: FileNeeds = { dataDir: "/var/lib/postlane", uid: 1000, freeDiskBytesMin: 1e9, nowMs: 0 };
const there = {
  kind: "there",
  owner: 1000,
  mode: 0o700,
  freeBytes: 50e9,
  allBytes: 100e9,
  freeFiles: 1e6,
  allFiles: 2e6,
  fileSystem: "ext4",
} as const;
const DAY_MS = 86_400_000;
const certificate = { kind: "read", validToMs: 90 * DAY_MS, isPair: true } as const;
const WELL: FileFacts = { dataDir: there, readableSecrets: [], certificate };

const rows: readonly (readonly [FindingCode | undefined, Partial<FileFacts>])[] = [
  [undefined, {}],
  [undefined, { dataDir: { ...there, freeFiles: 0, allFiles: 0 } }],
  ["data_dir_missing", { dataDir: { kind: "missing" } }],
  ["data_dir_unreadable", { dataDir: { kind: "unreadable" } }],
  ["data_dir_foreign", { dataDir: { ...there, owner: 1001 } }],
  ["data_dir_open", { dataDir: { ...there, mode: 0o755 } }],
  ["data_dir_not_disk", { dataDir: { ...there, fileSystem: "tmpfs" } }],
  ["data_dir_remote", { dataDir: { ...there, fileSystem: "nfs4" } }],
  ["disk_full", { dataDir: { ...there, freeBytes: 5e8 } }],
  ["disk_filling", { dataDir: { ...there, freeBytes: 3e9 } }],
  ["inodes_few", { dataDir: { ...there, freeFiles: 50 } }],
  ["secret_readable", { readableSecrets: ["/etc/postlane.yaml"] }],
  ["own_certificate_unreadable", { certificate: { kind: "unreadable", said: "ENOENT" } }],
  ["own_certificate_expired", { certificate: { ...certificate, validToMs: -1 } }],
  ["own_certificate_expires", { certificate: { ...certificate, validToMs: 3 * DAY_MS } }],
  ["own_key_mismatch", { certificate: { ...certificate, isPair: false } }],
];
for (const [code, changed] of rows)
  test(`${code ?? "all right"}: ${JSON.stringify(changed)}`, () => {
    const found = judgeFiles({ ...WELL, ...changed }, NEEDS).map((one) => one.code);
    assert.deepEqual(found, code === undefined ? [] : [code]);
  });

test("root may look after the service of any user", () => {
  assert.deepEqual(judgeFiles({ ...WELL, dataDir: { ...there, owner: 5 } }, { ...NEEDS, uid: 0 }), []);
});

test("real files: modes, a password in the configuration, a certificate and another one's key", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-files-"));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const fixture = path.resolve(import.meta.dirname, "../../../test/fixtures/tls");
  const file = path.join(folder, "postlane.yaml");
  writeFileSync(file, CONFIG.replaceAll("FIXTURE", fixture));
  mkdirSync(path.join(folder, "postlane-data"), { mode: 0o700 });
  const facts = await readFiles(loadConfig({ cwd: folder, env: {} }));
  assert.ok(facts.dataDir.kind === "there" && facts.dataDir.mode === 0o700 && facts.dataDir.freeBytes > 0);
  assert.ok(facts.readableSecrets.includes(file));
  assert.ok(facts.certificate?.kind === "read" && facts.certificate.isPair);
  assert.ok(facts.certificate.validToMs > Date.parse("2100-01-01"));

  chmodSync(file, 0o600);
  writeFileSync(path.join(folder, "other.pem"), "no key");
  const changed = { POSTLANE_TLS__KEY_FILE: path.join(folder, "other.pem") };
  const again = await readFiles(loadConfig({ cwd: folder, env: changed }));
  assert.ok(!again.readableSecrets.includes(file));
  assert.equal(again.certificate?.kind, "unreadable");
});

const CONFIG = `tls: { cert_file: FIXTURE/cert.pem, key_file: FIXTURE/key.pem }
outlets:
  default: { type: smtp, hosts: [relay.example.com], tls: required, auth: { user: site, password: hunter2 } }
`;
