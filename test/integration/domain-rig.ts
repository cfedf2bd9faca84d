// A place for the commands of sender domains: a database, a name server with a zone of the test's own, and a configuration
// that names it.

import { writeFileSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Finding } from "../../src/senders/domains/finding.ts";
import type { DnsRecord } from "../../src/senders/domains/txt-record.ts";
import { startFakeDns, type ZoneAnswer } from "../rig/fake-dns.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { runCommand } from "./cli-command.ts";

export interface Key {
  readonly selector: string;
  readonly algorithm: string;
  readonly state: string;
  readonly file: string | null;
  readonly record_kept_until: string | null;
  readonly record: DnsRecord;
}

export interface Domain {
  readonly domain: string;
  readonly keys: readonly Key[];
}

export interface Checked {
  readonly is_well: boolean;
  readonly findings: readonly Finding[];
  readonly activated: readonly string[];
  readonly retired: readonly string[];
  readonly forgotten: readonly string[];
}

export type Zone = Record<string, ZoneAnswer>;

export async function place(
  t: TestContext,
): Promise<{ readonly database: TestDatabase; readonly zone: Zone; readonly config: string }> {
  const database = await testDatabase(t);
  const zone: Zone = {};
  const dns = await startFakeDns(t, zone);
  const config = `resolvers: ["${dns.address}"]\n`;
  writeFileSync(path.join(database.dataDir, "postlane.yaml"), config);
  return { database, zone, config };
}

export async function check(
  database: TestDatabase,
): Promise<{ readonly exitCode: number | null; readonly checked: Checked }> {
  const { exitCode, stdout } = await runCommand(database, [
    "domain",
    "check",
    "example.com",
    "--ip",
    "192.0.2.1",
    "--json",
  ]);
  return { exitCode, checked: JSON.parse(stdout) as Checked };
}

/** As a resolver hands it out: of a TXT, the strings of its zone line. */
export function publishIn(zone: Zone, { name, type, value, zone_line: line }: DnsRecord): void {
  const before = zone[name]?.kind === "records" ? zone[name] : { kind: "records" as const };
  const strings = value === stringsOf(line).join("") ? stringsOf(line) : [value];
  const records = {
    TXT: { TXT: [...(before.TXT ?? []), strings] },
    PTR: { PTR: [value] },
    MX: { MX: [value.replace(/^\d+ /, "")] },
  }[type];
  zone[name] = { ...before, ...records };
}

function stringsOf(line: string): readonly string[] {
  return Array.from(line.matchAll(/"([^"]*)"/g), ([, text = ""]) => text);
}
