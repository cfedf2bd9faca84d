// Checks a configuration against its schema, and its keys against each other. Reports every problem, not the first
// one, and never throws: a key that is wrong by itself is left out of the comparison with others. Reads no file but
// those that the configuration names.

import { readFileSync } from "node:fs";
import path from "node:path";
import { isLoopback, parseHost } from "./config-host.ts";
import { isPlainObject, type KeyPath } from "./config-source.ts";
import { fits, type SchemaNode } from "./plain-schema.ts";
import { parseDuration, parseSize } from "./quantities.ts";

export interface Report {
  (keys: KeyPath, found: string, expected: string, hint?: string): void;
}

export function checkAgainstSchema(node: SchemaNode, value: unknown, keys: KeyPath, report: Report): void {
  if (node.anyOf !== undefined) checkBranches(node, node.anyOf, value, keys, report);
  else if (node.properties !== undefined) checkMapping(node, node.properties, value, keys, report);
  else if (node.patternProperties !== undefined) checkNamed(node, node.patternProperties, value, keys, report);
  else if (node.items !== undefined) checkList(node, node.items, value, keys, report);
  else if (!fits(node, value)) reportWrong(node, value, keys, report);
}

/** What several keys say together. `value` has passed `withoutNulls`, but may still be wrong in places. */
export function checkTogether(value: unknown, report: Report): void {
  const outlets = membersOf(memberOf(value, "outlets"));
  const outletNames = ["default", ...outlets.map(([name]) => name)];
  for (const [name, outlet] of outlets) {
    checkAuth(name, outlet, report);
    checkRetryOutlet(name, outlet, outletNames, report);
    checkReturnPath(name, outlet, memberOf(memberOf(value, "returns"), "domain"), report);
  }
  for (const [name, lane] of membersOf(memberOf(value, "lanes"))) {
    checkOutletNames(name, lane, new Set(outletNames), report);
    checkCap(name, memberOf(lane, "retry"), report);
  }
  checkSmtpDoor(value, report);
  checkDkim(memberOf(value, "dkim"), report);
}

/** The files that outlets name, read: by the key that names them. */
export function readNamedFiles(value: unknown, baseDir: string, report: Report): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [name, outlet] of membersOf(memberOf(value, "outlets"))) {
    for (const keys of [["ca_file"], ["auth", "password_file"]]) {
      const file = keys.reduce(memberOf, outlet);
      if (typeof file !== "string" || file === "") continue;
      const text = readNamedFile(path.resolve(baseDir, file), ["outlets", name, ...keys], report);
      if (text !== undefined) texts.set(["outlets", name, ...keys].join("."), text);
    }
  }
  return texts;
}

/** `ttl:` with nothing behind it means the default; a lane or an outlet with nothing behind it has only defaults. */
export function withoutNulls(value: unknown, keys: KeyPath = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => withoutNulls(item, [...keys, index]));
  if (!isPlainObject(value)) return value;
  const isNamed = keys.length === 1 && (keys[0] === "lanes" || keys[0] === "outlets");
  const kept = Object.entries(value).filter(([, member]) => member !== null || isNamed);
  return Object.fromEntries(
    kept.map(([key, member]) => [key, member === null ? {} : withoutNulls(member, [...keys, key])]),
  );
}

// ---- against the schema ----------------------------------------------------------------------------------------------

/** The branch of the value's own kind is the one that was meant; among mappings, the one with its `type`. */
function checkBranches(
  node: SchemaNode,
  branches: readonly SchemaNode[],
  value: unknown,
  keys: KeyPath,
  report: Report,
): void {
  const ofKind = branches.filter((branch) => branch.type === kindOf(value));
  const [only] = ofKind;
  if (only !== undefined && ofKind.length === 1) return checkAgainstSchema(only, value, keys, report);
  if (only === undefined && value !== null) return reportWrong(node, value, keys, report);
  const type = memberOf(value, "type") ?? null;
  const meant = branches.find((branch) => branch.properties?.["type"]?.const === type);
  if (meant !== undefined) return checkAgainstSchema(meant, value, keys, report);
  const types = branches.map((branch) => String(branch.properties?.["type"]?.const));
  report([...keys, "type"], describe(type), `one of ${types.join(", ")}`, nearest(type, types));
}

function checkMapping(
  node: SchemaNode,
  properties: Readonly<Record<string, SchemaNode>>,
  value: unknown,
  keys: KeyPath,
  report: Report,
): void {
  if (!isPlainObject(value)) return value === null ? undefined : reportWrong(node, value, keys, report);
  for (const [key, member] of Object.entries(value)) {
    const child = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (child === undefined) reportUnknown([...keys, key], Object.keys(properties), report);
    else if (member !== null) checkAgainstSchema(child, member, [...keys, key], report);
  }
  for (const key of node.required ?? []) {
    const isMissing = !Object.hasOwn(value, key) || value[key] === null;
    if (isMissing) report([...keys, key], "nothing", properties[key]?.expected ?? "a value");
  }
}

function checkNamed(
  node: SchemaNode,
  patterns: Readonly<Record<string, SchemaNode>>,
  value: unknown,
  keys: KeyPath,
  report: Report,
): void {
  if (!isPlainObject(value)) return reportWrong(node, value, keys, report);
  const [[pattern, child] = ["", node]] = Object.entries(patterns);
  for (const [name, member] of Object.entries(value)) {
    if (!new RegExp(pattern).test(name)) {
      report([...keys, name], `the name ${describe(name)}`, node.expectedName ?? "another name");
    }
    checkAgainstSchema(child, member, [...keys, name], report);
  }
}

function checkList(node: SchemaNode, items: SchemaNode, value: unknown, keys: KeyPath, report: Report): void {
  if (!Array.isArray(value)) return reportWrong(node, value, keys, report);
  if (value.length < (node.minItems ?? 0) || value.length > (node.maxItems ?? Infinity)) {
    report(keys, value.length === 0 ? "an empty list" : `a list of ${value.length}`, listExpected(node));
  }
  for (const [index, item] of value.entries()) checkAgainstSchema(items, item, [...keys, index], report);
}

function listExpected({ expected, minItems, maxItems }: SchemaNode): string {
  return expected ?? `a list of ${minItems ?? 0} to ${maxItems ?? "any number of"} entries`;
}

function reportWrong(node: SchemaNode, value: unknown, keys: KeyPath, report: Report): void {
  const expected = node.expected ?? "another value";
  const choices = node.enum ?? [];
  report(
    keys,
    node.isSecret === true ? "something else (not shown)" : describe(value),
    expected,
    nearest(value, choices),
  );
}

function reportUnknown(keys: KeyPath, known: readonly string[], report: Report): void {
  report(keys, "a key that does not exist", `one of ${known.join(", ")}`, nearest(keys.at(-1), known));
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

const SHOWN_CHARS_MAX = 60;

function describe(value: unknown): string {
  switch (kindOf(value)) {
    case "null":
      return "nothing";
    case "array":
      return "a list";
    case "object":
      return "a mapping";
    default: {
      const text = JSON.stringify(value) ?? String(value);
      return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
    }
  }
}

/** The known word that is only a slip away: a third of its letters, and two in any case. */
function nearest(word: unknown, known: readonly string[]): string | undefined {
  if (typeof word !== "string" || word.length > SHOWN_CHARS_MAX) return undefined;
  const [best] = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3) && distance < candidate.length)
    .toSorted((one, other) => one.distance - other.distance);
  return best === undefined ? undefined : `did you mean "${best.candidate}"?`;
}

/** Letters to insert, drop or change (Levenshtein), one row of the table at a time. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at += 1) {
    const next = [at];
    for (let to = 1; to <= other.length; to += 1) {
      const changed = row[to - 1]! + (one[at - 1] === other[to - 1] ? 0 : 1);
      next.push(Math.min(changed, row[to]! + 1, next[to - 1]! + 1));
    }
    row = next;
  }
  return row[other.length]!;
}

// ---- keys against each other -----------------------------------------------------------------------------------------

/** AUTH goes out only over TLS or to this machine. */
function checkAuth(name: string, outlet: unknown, report: Report): void {
  const auth = memberOf(outlet, "auth");
  if (!isPlainObject(auth)) return;
  const keys = ["outlets", name, "auth"];
  const [password, passwordFile] = [auth["password"], auth["password_file"]];
  if (password === undefined && passwordFile === undefined) {
    report([...keys, "password"], "nothing", "password or password_file");
  }
  if (password !== undefined && passwordFile !== undefined) {
    report([...keys, "password_file"], "both password and password_file", "one of them");
  }
  if (memberOf(outlet, "tls") !== "off") return;
  const farHost = hostNames(memberOf(outlet, "hosts")).find((host) => !isLoopback(host));
  if (farHost === undefined) return;
  report(
    ["outlets", name, "tls"],
    `off, with a password for ${farHost}`,
    "required, implicit or opportunistic: a password goes out only over TLS or to this machine",
  );
}

function checkRetryOutlet(name: string, outlet: unknown, known: readonly string[], report: Report): void {
  const other = memberOf(outlet, "retry_outlet");
  if (typeof other !== "string") return;
  const keys = ["outlets", name, "retry_outlet"];
  if (other === name) report(keys, "the outlet itself", "another outlet");
  else if (!known.includes(other)) {
    report(keys, `${describe(other)}, which is not an outlet`, `one of ${known.join(", ")}`, nearest(other, known));
  }
}

function checkReturnPath(name: string, outlet: unknown, domain: unknown, report: Report): void {
  if (memberOf(outlet, "return_path") !== "verp" || typeof domain === "string") return;
  report(["outlets", name, "return_path"], "verp, without returns.domain", "keep, or a domain in returns.domain");
}

/** TLS needs its certificate, a port its lane, and one mail of the largest size its room. */
function checkSmtpDoor(value: unknown, report: Report): void {
  const listen = memberOf(value, "listen");
  for (const key of ["submission", "submissions"]) {
    const written = memberOf(listen, key);
    if (typeof written !== "string" || written === "off" || memberOf(value, "tls") !== undefined) continue;
    report(["listen", key], "an address, without a certificate", "tls with cert_file and key_file, or off");
  }
  const smtp = memberOf(value, "smtp");
  const lanes = ["transactional", "bulk", ...membersOf(memberOf(value, "lanes")).map(([name]) => name)];
  for (const [lane] of membersOf(memberOf(smtp, "ports"))) {
    if (lanes.includes(lane)) continue;
    report(["smtp", "ports", lane], "a lane that there is not", `one of ${lanes.join(", ")}`, nearest(lane, lanes));
  }
  const [messageBytes, readingBytes] = [
    readBytes(memberOf(smtp, "max_message")),
    readBytes(memberOf(smtp, "max_reading")),
  ];
  if (readingBytes === undefined || readingBytes >= (messageBytes ?? MESSAGE_BYTES_DEFAULT)) return;
  report(["smtp", "max_reading"], "less than max_message", "a size that one mail fits into");
}

/** One key to seal under, and one key under a name. */
function checkDkim(dkim: unknown, report: Report): void {
  if (memberOf(dkim, "encryption_key") !== undefined && memberOf(dkim, "encryption_key_file") !== undefined) {
    report(["dkim", "encryption_key_file"], "both encryption_key and encryption_key_file", "one of them");
  }
  const keys = memberOf(dkim, "keys");
  if (!Array.isArray(keys)) return;
  const names = keys.map((key) => `${String(memberOf(key, "selector"))}._domainkey.${String(memberOf(key, "domain"))}`);
  for (const [index, name] of names.entries()) {
    if (names.findIndex((other) => other.toLowerCase() === name.toLowerCase()) === index) continue;
    report(["dkim", "keys", index, "selector"], `${describe(name)} twice`, "each selector of a domain once");
  }
}

/** Of `smtp.max_message`. */
const MESSAGE_BYTES_DEFAULT = 10 * 2 ** 20;

function hostNames(hosts: unknown): readonly string[] {
  if (!Array.isArray(hosts)) return [];
  const names = hosts.map((host: unknown) =>
    typeof host === "string" ? parseHost(host)?.host : memberOf(host, "host"),
  );
  return names.filter((name) => typeof name === "string");
}

function checkOutletNames(lane: string, settings: unknown, known: ReadonlySet<string>, report: Report): void {
  const names = memberOf(settings, "outlets");
  if (!Array.isArray(names)) return;
  for (const [index, name] of names.entries()) {
    if (typeof name !== "string") continue;
    const keys = ["lanes", lane, "outlets", index];
    if (!known.has(name)) {
      report(
        keys,
        `${describe(name)}, which is not an outlet`,
        `one of ${[...known].join(", ")}`,
        nearest(name, [...known]),
      );
    }
    if (names.indexOf(name) < index) report(keys, `${describe(name)} twice`, "each outlet once");
  }
}

function checkCap(lane: string, retry: unknown, report: Report): void {
  const [firstMs, capMs] = [readMs(memberOf(retry, "first")), readMs(memberOf(retry, "cap"))];
  if (firstMs === undefined || capMs === undefined || capMs >= firstMs) return;
  report(["lanes", lane, "retry", "cap"], "less than first", "a duration that is not shorter than first");
}

function readMs(written: unknown): number | undefined {
  const quantity = typeof written === "string" ? parseDuration(written) : undefined;
  return quantity?.kind === "quantity" ? quantity.value : undefined;
}

function readBytes(written: unknown): number | undefined {
  const quantity = typeof written === "string" ? parseSize(written) : undefined;
  return quantity?.kind === "quantity" ? quantity.value : undefined;
}

function readNamedFile(absolute: string, keys: KeyPath, report: Report): string | undefined {
  try {
    const text = readFileSync(absolute, "utf8").replace(/\r?\n$/, "");
    if (text !== "") return text;
    report(keys, `the empty file ${absolute}`, "a file with content");
  } catch (error) {
    report(keys, `${absolute}, which cannot be read (${(error as NodeJS.ErrnoException).code})`, "a readable file");
  }
  return undefined;
}

function memberOf(value: unknown, key: string): unknown {
  return isPlainObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function membersOf(value: unknown): readonly (readonly [string, unknown])[] {
  return isPlainObject(value) ? Object.entries(value) : [];
}
