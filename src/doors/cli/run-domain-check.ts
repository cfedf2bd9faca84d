// `postlane domain check`: asks the DNS, prints what it says, and lets the keys follow: new ones whose record is there sign
// from now on, and retired ones that are over and gone are forgotten.

import type { Pool } from "pg";
import type { Config } from "../../platform/config.ts";
import { checkDomain, type DomainChecked } from "../../senders/domains/check-domain.ts";
import { domainQuestion, sendingOutlets } from "../../senders/domains/domain-question.ts";
import { forgetIfRetiredFor } from "../../senders/domains/domain-store.ts";
import { isFailed, type Finding, type FindingStatus } from "../../senders/domains/finding.ts";
import { parseIp } from "../../senders/domains/ip-address.ts";
import { activateKeys } from "../../senders/domains/sender-domains.ts";
import { guessAddresses, type SendingAddress } from "../../senders/domains/sending-addresses.ts";
import { readShownKeys, retiredRecordMs, type ShownKey } from "../../senders/domains/shown-keys.ts";
import { EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { printRecord, printState, readDomainName } from "./domain-keys.ts";
import { resolverOf } from "./dns-resolver.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { harmless } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface DomainCheckOptions extends CommonOptions {
  readonly ip?: readonly string[];
}

export async function runDomainCheck(given: string, options: DomainCheckOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const name = readDomainName(given);
  const resolver = resolverOf(config);
  const addresses = options.ip?.map(readAddress) ?? (await guessAddresses(sendingOutlets(config), resolver));
  const { checked, followed } = await withDatabase(config, async (pool) => {
    const found = await checkDomain(await domainQuestion(pool, config, name, addresses), resolver);
    return { checked: found, followed: await followUp(pool, config, name, found) };
  });
  const isWell = !checked.findings.some(isFailed);
  const { activated, retired, forgotten } = followed;
  output.answer({
    domain: name,
    is_well: isWell,
    findings: checked.findings,
    activated,
    retired: retired.map(({ selector }) => selector),
    forgotten,
  });
  printFindings(output, checked.findings);
  printFollowed(output, followed);
  output.print(
    isWell ? `${name}: all that is required is there` : `${name}: not yet; what is required is marked with !`,
  );
  return isWell ? EXIT_DONE : EXIT_FAILED;
}

function readAddress(text: string): SendingAddress {
  const ip = parseIp(text);
  if (ip !== undefined) return { ip };
  throw misused(`"${harmless(text)}" is no IP address, such as 192.0.2.1 or 2001:db8::1.`);
}

interface Followed {
  readonly activated: readonly string[];
  readonly retired: readonly ShownKey[];
  readonly forgotten: readonly string[];
}

async function followUp(pool: Pool, config: Config, name: string, { seen, absent }: DomainChecked): Promise<Followed> {
  const ready = seen.filter(({ state }) => state === "new").map(({ selector }) => selector);
  const over = absent.filter(({ isRemovable }) => isRemovable).map(({ selector }) => selector);
  const activated = ready.length === 0 ? [] : ((await activateKeys(pool, name, ready)) ?? []);
  const forgotten = over.length === 0 ? [] : await forgetIfRetiredFor(pool, name, over, retiredRecordMs(config));
  const after = activated.length === 0 ? [] : await readShownKeys(pool, config, name);
  return {
    activated,
    retired: after.filter(({ state, isRemovable }) => state === "retired" && !isRemovable),
    forgotten,
  };
}

const SIGNS: Readonly<Record<FindingStatus, string>> = {
  ok: "ok",
  advice: "advice",
  missing: "missing",
  wrong: "wrong",
  not_asked: "not asked",
};

function printFindings(output: Output, findings: readonly Finding[]): void {
  for (const finding of findings) {
    const mark = isFailed(finding) ? "!" : " ";
    output.print(
      `${mark} ${SIGNS[finding.status].padEnd(9)}  ${finding.check}  ${finding.name}: ${harmless(finding.found)}`,
    );
    if (finding.status === "ok") continue;
    if (finding.rule !== null) output.print(`             ${finding.rule}`);
    for (const record of finding.publish) for (const line of printRecord(record)) output.print(`           ${line}`);
  }
}

function printFollowed(output: Output, { activated, retired, forgotten }: Followed): void {
  for (const selector of activated) output.print(`${selector} signs from now on, everywhere within 5 s`);
  for (const key of retired) output.print(`${key.selector} ${printState(key)}`);
  for (const selector of forgotten) output.print(`${selector} is forgotten: retired, and its record is gone`);
}
