// The keys of a domain as the commands show them: those of the database and those of the configuration's files, each with
// its state and the DNS record that belongs to it. Private keys are never looked at but to read a file's public half.

import type { Pool } from "pg";
import type { Config } from "../../platform/config.ts";
import { dkimRecordOf } from "../../senders/domains/dkim-record.ts";
import { listKeys, type DkimKeyRow } from "../../senders/domains/domain-store.ts";
import type { CheckedKey } from "../../senders/domains/judge-dkim.ts";
import { readKeyFiles } from "../../senders/domains/key-files.ts";
import { domainNameOf, stateOf } from "../../senders/domains/sender-domains.ts";
import type { DnsRecord } from "../../senders/domains/txt-record.ts";
import { CommandFailure, misused } from "./command-failure.ts";
import { harmless, printTime } from "./printing.ts";

export interface ShownKey extends CheckedKey {
  /** Absent: it is in the database. */
  readonly file?: string;
  readonly row?: DkimKeyRow;
  /** Of a retired one: until when its record is to stay. */
  readonly keepUntil?: Date;
}

/** Of one domain, or of all. */
export async function readShownKeys(pool: Pool, config: Config, domain: string | null): Promise<readonly ShownKey[]> {
  const keptMs = retiredRecordMs(config);
  const files = readKeyFiles(config.dkim.keys.filter((key) => domain === null || key.domain === domain));
  const rows = await listKeys(pool, domain);
  return [
    ...rows.map((row) => shownRow(row, keptMs)),
    ...files.map(({ privateKey: _hidden, ...key }) => ({ ...key, state: "active", isRemovable: false }) as const),
  ];
}

function shownRow(row: DkimKeyRow, keptMs: number): ShownKey {
  const {
    domain,
    selector,
    algorithm,
    public_key: publicKey,
    retired_at: retiredAt,
    retired_for_ms: retiredForMs,
  } = row;
  return {
    domain,
    selector,
    algorithm,
    publicKey,
    state: stateOf(row),
    isRemovable: retiredForMs !== null && retiredForMs > keptMs,
    row,
    ...(retiredAt === null ? {} : { keepUntil: new Date(retiredAt.getTime() + keptMs) }),
  };
}

const RETIRED_RECORD_MS_MIN = 8 * 86_400_000;

/** For as long as a relay may still hold what was signed with it: the longest `return_window`. */
export function retiredRecordMs({ outlets }: Config): number {
  const windows = Object.values(outlets).map((outlet) => (outlet.type === "smtp" ? outlet.returnWindowMs : 0));
  return Math.max(RETIRED_RECORD_MS_MIN, ...windows);
}

/** For programs. */
export function shapeKey(key: ShownKey): Readonly<Record<string, unknown>> {
  return {
    selector: key.selector,
    algorithm: key.algorithm,
    state: key.state,
    file: key.file ?? null,
    created_at: key.row?.created_at.toISOString() ?? null,
    activated_at: key.row?.activated_at?.toISOString() ?? null,
    retired_at: key.row?.retired_at?.toISOString() ?? null,
    record_kept_until: key.keepUntil?.toISOString() ?? null,
    record: dkimRecordOf(key),
  };
}

export function printState(key: ShownKey): string {
  switch (key.state) {
    case "new":
      return "new: publish its record, then `postlane domain check`";
    case "active":
      return key.file === undefined ? "active: signs" : `active: signs, from ${harmless(key.file)}`;
    case "retired":
      return key.isRemovable
        ? "retired: its record may be removed"
        : `retired: keep its record until ${printTime(key.keepUntil?.toISOString() ?? null)}`;
  }
}

/** For a zone file, and for a form. */
export function printRecord(record: DnsRecord): readonly string[] {
  const short = record.short_name === record.name ? "" : `   (in a form that adds the domain: ${record.short_name})`;
  return [
    `  name   ${record.name}${short}`,
    `  type   ${record.type}`,
    `  value  ${record.value}`,
    `  zone   ${record.zone_line}`,
  ].map(harmless);
}

export function readDomainName(given: string): string {
  const name = domainNameOf(given);
  if (name !== undefined) return name;
  throw misused(`"${harmless(given)}" is no domain that mail could come from, such as example.com.`);
}

export function noSuchDomain(name: string): CommandFailure {
  return new CommandFailure(
    "domain_unknown",
    `There is no domain ${name}. \`postlane domain list\` shows those that there are, \`postlane domain add ${name}\` adds it.`,
  );
}
