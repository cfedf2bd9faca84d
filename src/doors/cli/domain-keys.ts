// The keys of a domain as the commands show them, each with its state and the DNS record that belongs to it.

import { dkimRecordOf } from "../../senders/domains/dkim-record.ts";
import { domainNameOf } from "../../senders/domains/sender-domains.ts";
import type { ShownKey } from "../../senders/domains/shown-keys.ts";
import type { DnsRecord } from "../../senders/domains/txt-record.ts";
import { CommandFailure, misused } from "./command-failure.ts";
import { harmless, printTime } from "./printing.ts";

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
