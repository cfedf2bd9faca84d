// `postlane key create|list|revoke|rotate`. A key is printed once, alone on standard output, so that a script can take
// it; what is said of it goes beside.

import { printRate } from "../../platform/quantities.ts";
import { listKeys, readKey, revokeIfThere, type KeyRow } from "../../senders/key-store.ts";
import { makeKey, rotateKey, type MadeKey } from "../../senders/make-key.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { readKeyId, readKeyRights, readLife, readSpan, type KeyRightsGiven } from "./key-rights.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { DASH, harmless, number, printTable, printTime, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface KeyCreateOptions extends CommonOptions, KeyRightsGiven {
  readonly expires?: string;
}

export async function runKeyCreate(options: KeyCreateOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const rights = readKeyRights(options, Object.keys(config.lanes));
  const endsInMs = options.expires === undefined ? null : readLife("--expires", options.expires);
  const made = await withDatabase(config, (pool) => makeKey(pool, rights, endsInMs));
  output.answer({ ...shapeKey(made.key), token: made.token });
  printToken(output, made);
  return EXIT_DONE;
}

function printToken(output: Output, { key, token }: MadeKey): void {
  output.print(token);
  output.note(`key ${key.id} "${harmless(key.name)}": ${sentenceOf(key)}`);
  output.note("It is shown this once; what is kept is only a hash of it. Put it where the site keeps its passwords.");
}

/** What it may do, in a line. */
function sentenceOf(key: KeyRow): string {
  const parts = [
    `scope ${key.scope}`,
    key.lanes === null ? "every lane" : `lanes ${key.lanes.join(", ")}`,
    key.from_domains === null ? "from any domain" : `from ${key.from_domains.join(", ")}`,
    key.max_rate === null ? "no limit of its own" : `at most ${printRate(key.max_rate)}`,
    ...(key.gets_notices ? [] : ["no failure notices"]),
    ...(key.is_deduplicated ? [] : ["repeated mail is not recognised"]),
    key.expires_at === null ? "does not end by itself" : `ends ${timeOf(key.expires_at)}`,
  ];
  return parts.join("; ");
}

export async function runKeyList(options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const keys = await withDatabase(readConfig(options), listKeys);
  output.answer({ keys: keys.map(shapeKey) });
  if (keys.length === 0) output.print("there is no key yet: `postlane key create --name NAME` makes one");
  else for (const line of printTable(COLUMNS, keys.map(printKey))) output.print(line);
  return EXIT_DONE;
}

const COLUMNS = [
  number("key"),
  text("name"),
  text(""),
  text("scope"),
  text("lanes"),
  text("from"),
  number("rate"),
  text("last used"),
  text("ends"),
];

function printKey(key: KeyRow): readonly string[] {
  return [
    String(key.id),
    key.name,
    key.state,
    key.scope,
    key.lanes?.join(", ") ?? "every",
    key.from_domains?.join(", ") ?? "any",
    key.max_rate === null ? DASH : printRate(key.max_rate),
    timeOf(key.last_used_at),
    timeOf(key.revoked_at ?? key.expires_at),
  ];
}

export async function runKeyRevoke(given: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const id = readKeyId(given);
  const { key, others } = await withDatabase(readConfig(options), async (pool) => {
    const revoked = await revokeIfThere(pool, id);
    if (revoked === undefined) throw noSuchKey(id);
    const keys = await listKeys(pool);
    return { key: revoked, others: keys.filter((other) => other.owner_id === revoked.owner_id && isGood(other)) };
  });
  output.answer({ ...shapeKey(key), still_good: others.map((other) => other.id) });
  output.print(`key ${id} "${harmless(key.name)}" is revoked; it is refused within a second`);
  for (const other of others) output.note(`key ${other.id} is of the same rotation and still good`);
  return EXIT_DONE;
}

export interface KeyRotateOptions extends CommonOptions {
  readonly keep: string;
  readonly expires?: string;
}

export async function runKeyRotate(given: string, options: KeyRotateOptions): Promise<number> {
  const output = createOutput(options);
  const id = readKeyId(given);
  const keptMs = readSpan("--keep", options.keep, 0);
  const life = options.expires === undefined ? undefined : readLife("--expires", options.expires);
  const made = await withDatabase(readConfig(options), async (pool) => {
    const old = await readKey(pool, id);
    if (old === undefined) throw noSuchKey(id);
    const rotated = await rotateKey(pool, { id, keptMs, endsInMs: life === undefined ? endlessAfter(old) : life });
    if (rotated === undefined) throw notGood(old);
    return rotated;
  });
  output.answer({ ...shapeKey(made.key), token: made.token, old: shapeKey(made.old) });
  printToken(output, made);
  output.note(`key ${id} goes on until ${timeOf(made.old.expires_at)}; \`postlane key revoke ${id}\` ends it sooner`);
  return EXIT_DONE;
}

/** A key that ends by itself is followed by one whose end somebody has thought about. */
function endlessAfter(old: KeyRow): null {
  if (old.expires_at === null || !isGood(old)) return null;
  throw misused(
    `Key ${old.id} ends by itself: say how long its successor lives with --expires "90 days", or --expires never.`,
  );
}

function noSuchKey(id: number): CommandFailure {
  return new CommandFailure("key_unknown", `There is no key ${id}. \`postlane key list\` shows those that there are.`);
}

function notGood({ id, state }: KeyRow): CommandFailure {
  const why = state === "good" ? "has ended meanwhile" : `is ${state}`;
  return new CommandFailure("key_ended", `Key ${id} ${why}. Make another one: \`postlane key create --name NAME\`.`);
}

function isGood({ state }: KeyRow): boolean {
  return state === "good";
}

function timeOf(at: Date | null): string {
  return printTime(at?.toISOString() ?? null);
}

/** For programs. */
function shapeKey(key: KeyRow): Readonly<Record<string, unknown>> {
  return {
    id: key.id,
    credential: `key:${key.owner_id}`,
    name: key.name,
    state: key.state,
    scope: key.scope,
    lanes: key.lanes,
    from_domains: key.from_domains,
    max_rate_per_s: key.max_rate,
    gets_notices: key.gets_notices,
    is_deduplicated: key.is_deduplicated,
    created_at: key.created_at.toISOString(),
    expires_at: key.expires_at?.toISOString() ?? null,
    revoked_at: key.revoked_at?.toISOString() ?? null,
    last_used_at: key.last_used_at?.toISOString() ?? null,
  };
}
