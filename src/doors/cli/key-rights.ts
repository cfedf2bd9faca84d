// What `postlane key` is told of a key, read and checked: a mistake here would only show when a site's mail is refused, so
// each says what to do.

import { domainToASCII } from "node:url";
import { addressProblem } from "../../mail/address.ts";
import { parseDuration, parseRate } from "../../platform/quantities.ts";
import { parseKeyToken } from "../../senders/key-token.ts";
import type { KeyRights } from "../../senders/key-store.ts";
import type { Scope } from "../../senders/sender.ts";
import { misused } from "./command-failure.ts";

export interface KeyRightsGiven {
  readonly name: string;
  readonly scope: string;
  readonly lane?: readonly string[];
  readonly fromDomain?: readonly string[];
  readonly rate?: string;
  readonly notices: boolean;
  readonly dedup: boolean;
}

/** `laneNames`: what the configuration has. */
export function readKeyRights(given: KeyRightsGiven, laneNames: readonly string[]): KeyRights {
  return {
    name: readName(given.name),
    scope: readScope(given.scope),
    lanes: readLanes(given.lane, laneNames),
    from_domains: readFromDomains(given.fromDomain),
    max_rate: given.rate === undefined ? null : readMaxRate(given.rate),
    gets_notices: given.notices,
    is_deduplicated: given.dedup,
  };
}

const KEY_NAME_CHARS_MAX = 100;
const KEY_FROM_DOMAINS_MAX = 100;
/** A hundred times what one machine accepts; above that no rate is meant. */
const KEY_RATE_PER_S_MAX = 1_000_000;
const KEY_LIFE_DAYS_MAX = 3650;
const DAY_MS = 86_400_000;

function readName(name: string): string {
  if (name.trim() !== "" && name.length <= KEY_NAME_CHARS_MAX && !/\p{C}/u.test(name)) return name;
  throw misused(
    `--name must be 1 to ${KEY_NAME_CHARS_MAX} printable characters: say whose key it is, such as --name shop.`,
  );
}

function readScope(scope: string): Scope {
  if (scope === "send" || scope === "read" || scope === "operate") return scope;
  throw misused(
    `--scope ${shown(scope)} is none: send submits, and reads and cancels what it submitted; read reads everything; operate may do everything.`,
  );
}

function readLanes(lanes: readonly string[] | undefined, known: readonly string[]): readonly string[] | null {
  if (lanes === undefined) return null;
  const unknown = lanes.find((lane) => !known.includes(lane));
  if (unknown === undefined) return [...new Set(lanes)];
  throw misused(`There is no lane ${shown(unknown)}. Lanes: ${known.join(", ")}. More are made in postlane.yaml.`);
}

function readFromDomains(domains: readonly string[] | undefined): readonly string[] | null {
  if (domains === undefined) return null;
  const ascii = [...new Set(domains.map(readFromDomain))];
  if (ascii.length <= KEY_FROM_DOMAINS_MAX) return ascii;
  throw misused(
    `A key has ${KEY_FROM_DOMAINS_MAX} domains at most, not ${ascii.length}: leave --from-domain out for all.`,
  );
}

function readFromDomain(domain: string): string {
  const ascii = domainToASCII(domain);
  if (ascii !== "" && addressProblem(`a@${domain}`) === undefined && addressProblem(`a@${ascii}`) === undefined) {
    return ascii;
  }
  throw misused(
    `--from-domain ${shown(domain)} is no domain: give what stands behind the @, such as example.com, and each subdomain by itself.`,
  );
}

function readMaxRate(rate: string): number {
  const read = parseRate(rate);
  if (read.kind === "refused") throw misused(`--rate ${shown(rate)}: expected ${read.problem}.`);
  if (read.value > 0 && read.value <= KEY_RATE_PER_S_MAX) return read.value;
  throw misused(
    `--rate ${shown(rate)} must be more than nothing and at most ${KEY_RATE_PER_S_MAX}/s: leave it out for no limit.`,
  );
}

/** Null: `never`. */
export function readLife(option: string, span: string): number | null {
  if (span === "never") return null;
  return readSpan(option, span);
}

/** More than nothing, and short enough to be meant. */
export function readSpan(option: string, span: string, leastMs = 1): number {
  const read = parseDuration(span);
  if (read.kind === "refused") throw misused(`${option} ${shown(span)}: expected ${read.problem}.`);
  if (read.value >= leastMs && read.value <= KEY_LIFE_DAYS_MAX * DAY_MS) return read.value;
  throw misused(`${option} ${shown(span)} must be more than nothing and at most ${KEY_LIFE_DAYS_MAX} days.`);
}

/** `7`, or the whole key: what has leaked can be revoked as it was found. */
export function readKeyId(given: string): number {
  const id = parseKeyToken(given)?.id ?? (/^[1-9]\d{0,8}$/.test(given) ? Number(given) : undefined);
  if (id !== undefined) return id;
  throw misused("Name the key by its id, such as 7: `postlane key list` shows the ids.");
}

const SHOWN_CHARS_MAX = 100;

function shown(text: string): string {
  return JSON.stringify(text.slice(0, SHOWN_CHARS_MAX));
}
