import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { loadConfig, type Config } from "../platform/config.ts";
import { firstConfigText, outletOf, TLS, WAYS_IN, type FirstConfig } from "./first-config.ts";

const PLAIN: FirstConfig = {
  wayOut: { kind: "capture" },
  from: "Example <hello@example.com>",
  waysIn: ["http", "smtp"],
};

/** Read as Postlane reads it, beside a password file. */
function read(config: FirstConfig): Config {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-first-"));
  try {
    writeFileSync(path.join(folder, "smtp-password"), "s3cret\n");
    const file = path.join(folder, "postlane.yaml");
    writeFileSync(file, firstConfigText(config));
    return loadConfig({ cwd: folder, file, env: {} });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("kept on this machine: both lanes go into capture, with the embedded database", () => {
  const { lanes, outlets, databaseUrl, from } = read(PLAIN);
  assert.deepEqual([lanes["transactional"]?.outlets, lanes["bulk"]?.outlets], [["default"], ["default"]]);
  assert.equal(outlets["default"]?.type, "capture");
  assert.deepEqual([databaseUrl, from], [undefined, "Example <hello@example.com>"]);
});

test("a provider: its password comes from its file and stands nowhere in the configuration", () => {
  const wayOut = {
    kind: "provider",
    host: "smtp.example.com:587",
    tls: "required",
    user: "site",
    passwordFile: "./smtp-password",
  } as const;
  const { lanes, outlets } = read({ ...PLAIN, wayOut });
  const outlet = outlets["provider"];
  assert.ok(outlet?.type === "smtp");
  assert.deepEqual(outlet.auth, { user: "site", password: "s3cret" });
  assert.deepEqual([outlet.hosts[0]?.host, outlet.hosts[0]?.port, outlet.tls], ["smtp.example.com", 587, "required"]);
  assert.deepEqual(lanes["bulk"]?.outlets, ["provider"]);
  assert.ok(!firstConfigText({ ...PLAIN, wayOut }).includes("s3cret"));
});

test("without SMTP and sendmail nothing listens for SMTP", () => {
  assert.deepEqual(read({ ...PLAIN, waysIn: ["http", "sql"] }).smtp.listeners, []);
  assert.equal(read({ ...PLAIN, waysIn: ["sendmail"] }).smtp.listeners.length, 1);
});

test("every line that is commented out is right once it is not", (t) => {
  const wayOut = { kind: "postfix", host: "127.0.0.1:25", tls: "off" } as const;
  for (const config of [PLAIN, { ...PLAIN, wayOut }]) {
    const written = firstConfigText(config);
    const lines = written.split("\n").filter((line) => /^ *# [a-z_]+: /.test(line));
    assert.ok(lines.length >= 5, `only ${lines.length} lines`);
    const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-first-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, "postlane.yaml");
    writeFileSync(file, written.replaceAll(/^( *)# ([a-z_]+: )/gm, "$1$2"));
    assert.doesNotThrow(() => loadConfig({ cwd: folder, file, env: {} }), lines.join("\n"));
  }
});

test("whatever is answered, the file says the same", () => {
  const word = fc.string({ minLength: 1, maxLength: 60, unit: "grapheme" }).filter((text) => !/\p{Cc}/u.test(text));
  const tls = fc.constantFrom(...TLS);
  const waysIn = fc.uniqueArray(fc.constantFrom(...WAYS_IN));
  const property = fc.property(word, word, tls, waysIn, (user, name, mode, ways) => {
    const wayOut = {
      kind: "provider",
      host: "127.0.0.1:587",
      tls: mode,
      user,
      passwordFile: "./smtp-password",
    } as const;
    const from = `${name.replaceAll(/[<>]/g, "")} <hello@example.com>`;
    const config = read({ wayOut, from, waysIn: ways, dataDir: `./${encodeURIComponent(name)}` });
    const outlet = config.outlets[outletOf(wayOut)];
    assert.equal(config.from, from);
    assert.ok(outlet?.type === "smtp");
    assert.equal(outlet.auth?.user, user);
    assert.equal(outlet.implicitTls, mode === "implicit");
  });
  fc.assert(property, { numRuns: 200 });
});
