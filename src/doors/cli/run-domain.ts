// `postlane domain add|show|rotate|activate|list|remove`.

import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { dkimRecordOf } from "../../senders/domains/dkim-record.ts";
import { DOMAINS_MAX, listDomains, removeDomainIfThere } from "../../senders/domains/domain-store.ts";
import {
  isReadableByOthers,
  readOrMakeEncryptionKey,
  type MadeEncryptionKey,
} from "../../senders/domains/encryption-key.ts";
import {
  activateKeys,
  addSenderDomain,
  rotateSenderDomain,
  type DomainChange,
  type KeyState,
  type MakingPorts,
} from "../../senders/domains/sender-domains.ts";
import { readShownKeys, retiredRecordMs, type ShownKey } from "../../senders/domains/shown-keys.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { noSuchDomain, printRecord, printState, readDomainName, shapeKey } from "./domain-keys.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { DASH, printSpan, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export async function runDomainAdd(given: string, options: CommonOptions): Promise<number> {
  return await makeKeys(given, options, addSenderDomain);
}

export async function runDomainRotate(given: string, options: CommonOptions): Promise<number> {
  return await makeKeys(given, options, rotateSenderDomain);
}

async function makeKeys(
  given: string,
  options: CommonOptions,
  make: (name: string, ports: MakingPorts) => Promise<DomainChange>,
): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const name = readDomainName(given);
  const { keys, encryption } = await withDatabase(config, async (pool) => {
    const made = readOrMakeEncryptionKey(config.dkim.encryptionKey);
    const wallMs = systemClock.wallMs();
    refuse(name, await make(name, { pool, encryptionKey: made.key, wallMs }));
    return { keys: await readShownKeys(pool, config, name), encryption: made };
  });
  output.answer({ ...shapeDomain(name, keys), encryption_key: shapeEncryption(encryption) });
  printDomain(output, name, keys.filter(isNew));
  output.print("");
  output.print(`Publish these records, then: postlane domain check ${name}`);
  sayOfEncryption(output, config, encryption);
  return EXIT_DONE;
}

function refuse(name: string, change: DomainChange): void {
  switch (change.kind) {
    case "done":
      return;
    case "already_there":
      throw new CommandFailure(
        "domain_exists",
        `${name} is there already. \`postlane domain show ${name}\` shows its records, \`postlane domain rotate ${name}\` makes new keys.`,
      );
    case "not_there":
      throw noSuchDomain(name);
    case "too_many":
      throw new CommandFailure("too_many_domains", `There are ${DOMAINS_MAX} domains already. Remove one first.`);
    case "waits":
      throw new CommandFailure(
        "keys_wait",
        `New keys of ${name} wait for their records already (${change.keys.map(({ selector }) => selector).join(", ")}). \`postlane domain show ${name}\` shows them; publish them, then \`postlane domain check ${name}\`.`,
      );
  }
}

function shapeEncryption({ key, wasMade }: MadeEncryptionKey): unknown {
  return { origin: key.origin, was_made: wasMade };
}

function sayOfEncryption(output: Output, { dkim }: Config, { key, wasMade }: MadeEncryptionKey): void {
  if (wasMade) {
    output.note(
      `The private keys are sealed under ${key.origin}, made now: keep a copy where your passwords are, and bring it to every machine that hands mail over.`,
    );
  }
  if (isReadableByOthers(dkim.encryptionKey)) output.note(`${key.origin} can be read by everybody: chmod 600 it.`);
}

export async function runDomainShow(given: string | undefined, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const name = given === undefined ? null : readDomainName(given);
  const { names, keys } = await readDomains(config, name);
  if (name !== null && names.length === 0) throw noSuchDomain(name);
  output.answer({ domains: names.map((each) => shapeDomain(each, ofDomain(keys, each))) });
  if (names.length === 0) output.print(NO_DOMAIN);
  for (const [index, each] of names.entries()) {
    if (index > 0) output.print("");
    printDomain(output, each, ofDomain(keys, each));
  }
  return EXIT_DONE;
}

const NO_DOMAIN = "there is no domain yet: `postlane domain add NAME` makes its keys";

async function readDomains(
  config: Config,
  name: string | null,
): Promise<{ readonly names: readonly string[]; readonly keys: readonly ShownKey[] }> {
  return await withDatabase(config, async (pool) => {
    const rows = await listDomains(pool);
    const keys = await readShownKeys(pool, config, name);
    const all = new Set([...rows.map((row) => row.name), ...keys.map(({ domain }) => domain)]);
    return { names: [...all].filter((each) => name === null || each === name).toSorted(), keys };
  });
}

function ofDomain(keys: readonly ShownKey[], name: string): readonly ShownKey[] {
  return keys.filter(({ domain }) => domain === name);
}

function shapeDomain(name: string, keys: readonly ShownKey[]): Readonly<Record<string, unknown>> {
  return { domain: name, keys: keys.map(shapeKey) };
}

function printDomain(output: Output, name: string, keys: readonly ShownKey[]): void {
  output.print(name);
  for (const key of keys) {
    output.print("");
    output.print(`${key.selector} (${key.algorithm}) ${printState(key)}`);
    for (const line of printRecord(dkimRecordOf(key))) output.print(line);
  }
}

export async function runDomainList(options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const { names, keys } = await readDomains(readConfig(options), null);
  const rows = names.map((name) => ({ name, selectors: selectorsOf(ofDomain(keys, name)) }));
  output.answer({ domains: rows.map(({ name, selectors }) => ({ domain: name, ...selectors })) });
  if (rows.length === 0) output.print(NO_DOMAIN);
  else for (const line of printTable(COLUMNS, rows.map(printRow))) output.print(line);
  return EXIT_DONE;
}

const COLUMNS = [text("domain"), text("signs"), text("waits for its record"), text("retired")];

type Selectors = Readonly<Record<KeyState, readonly string[]>>;

function selectorsOf(keys: readonly ShownKey[]): Selectors {
  const inState = (state: KeyState) => keys.filter((key) => key.state === state).map(({ selector }) => selector);
  return { active: inState("active"), new: inState("new"), retired: inState("retired") };
}

function printRow({ name, selectors }: { readonly name: string; readonly selectors: Selectors }): readonly string[] {
  const cell = (some: readonly string[]): string => (some.length === 0 ? DASH : some.join(", "));
  return [name, cell(selectors.active), cell(selectors.new), cell(selectors.retired)];
}

function isNew({ state }: ShownKey): boolean {
  return state === "new";
}

export async function runDomainActivate(given: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const name = readDomainName(given);
  const { activated, keys } = await withDatabase(config, async (pool) => {
    const waiting = (await readShownKeys(pool, config, name)).filter(isNew).map(({ selector }) => selector);
    const done = await activateKeys(pool, name, waiting);
    if (done === undefined) throw noSuchDomain(name);
    return { activated: done, keys: await readShownKeys(pool, config, name) };
  });
  output.answer({ ...shapeDomain(name, keys), activated });
  if (activated.length === 0) output.print(`no key of ${name} waits`);
  for (const key of keys) {
    if (activated.includes(key.selector)) output.print(`${key.selector} signs from now on, everywhere within 5 s`);
    else if (key.state === "retired") output.print(`${key.selector} ${printState(key)}`);
  }
  return EXIT_DONE;
}

export async function runDomainRemove(given: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const name = readDomainName(given);
  const isThere = await withDatabase(config, (pool) => removeDomainIfThere(pool, name));
  if (!isThere) throw noSuchDomain(name);
  output.answer({ domain: name, removed: true });
  output.print(`${name} is removed with its keys; no dispatcher signs with them in 5 s from now`);
  output.note(
    `Leave its records in the DNS for ${printSpan(retiredRecordMs(config))}: mail that they signed is under way.`,
  );
  const files = config.dkim.keys.filter(({ domain }) => domain === name);
  for (const { selector } of files)
    output.note(`dkim.keys of the configuration still names ${selector}, which signs on.`);
  return EXIT_DONE;
}
