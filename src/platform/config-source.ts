// Where configuration comes from: a YAML file and the environment over it, merged into one plain value that remembers
// for each key where it was written. Looks into the schema only to know how a variable's text is meant. Checks nothing.

import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parse, parseDocument, type Document } from "yaml";
import { ConfigError, type ConfigOrigin } from "./config-error.ts";
import type { SchemaNode } from "./plain-schema.ts";

const CONFIG_FILE_NAME = "postlane.yaml";

/** More is not a configuration but a mistaken path. */
const CONFIG_BYTES_MAX = 1024 * 1024;

export type KeyPath = readonly (string | number)[];
export type Environment = Readonly<Record<string, string | undefined>>;
type PlainObject = Record<string, unknown>;

export interface ConfigSource {
  readonly value: unknown;
  /** The file that was read, absolute; absent when there is none. */
  readonly file?: string;
  originOf(keys: KeyPath): ConfigOrigin;
}

export interface SourceQuestion {
  readonly cwd: string;
  readonly file?: string | undefined;
  readonly env: Environment;
}

export function readConfigSource({ cwd, file, env }: SourceQuestion, schema: SchemaNode): ConfigSource {
  const found = findFile(cwd, file, env);
  const read = found === undefined ? undefined : readYaml(found);
  const value = read?.value ?? {};
  const variables = isPlainObject(value) ? overlayVariables(value, env, schema) : new Map<string, string>();
  return {
    value,
    ...(found === undefined ? {} : { file: found.absolute }),
    originOf: (keys) => originOf(keys, variables, read),
  };
}

/** A variable goes before the file; a key that is missing is looked for where its nearest relatives stand. */
function originOf(keys: KeyPath, variables: ReadonlyMap<string, string>, read: ReadYaml | undefined): ConfigOrigin {
  const prefixes = keys.map((_, index) => keys.slice(0, keys.length - index));
  const above = prefixes.map((prefix) => variables.get(printKeys(prefix))).find((variable) => variable !== undefined);
  if (above !== undefined) return { kind: "variable", variable: above };
  for (const prefix of prefixes) {
    const inFile = read?.originOf(prefix);
    if (inFile !== undefined) return inFile;
    const [, beside] = [...variables].find(([key]) => key.startsWith(`${printKeys(prefix)}.`)) ?? [];
    if (beside !== undefined) return { kind: "variable", variable: beside };
  }
  return read?.originOf([]) ?? { kind: "file", file: CONFIG_FILE_NAME, line: 1 };
}

export function printKeys(keys: KeyPath): string {
  return keys
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`))
    .join("")
    .replace(/^\./, "");
}

export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// ---- the file --------------------------------------------------------------------------------------------------------

interface FoundFile {
  readonly absolute: string;
  /** As people know it, for messages. */
  readonly shown: string;
}

/** The one that was named must be there; the one in the working directory may be. */
function findFile(cwd: string, file: string | undefined, env: Environment): FoundFile | undefined {
  const named = file ?? (env["POSTLANE_CONFIG"] || undefined);
  if (named === undefined) {
    const absolute = path.join(cwd, CONFIG_FILE_NAME);
    return existsSync(absolute) ? { absolute, shown: CONFIG_FILE_NAME } : undefined;
  }
  const origin: ConfigOrigin =
    file === undefined ? { kind: "variable", variable: "POSTLANE_CONFIG" } : { kind: "variable", variable: "--config" };
  const absolute = path.resolve(cwd, named);
  if (existsSync(absolute)) return { absolute, shown: named };
  throw new ConfigError([{ origin, key: "", found: `no file ${absolute}`, expected: "the configuration file" }]);
}

interface ReadYaml {
  readonly value: unknown;
  /** Undefined when the file does not have the key. */
  originOf(keys: KeyPath): ConfigOrigin | undefined;
}

function readYaml({ absolute, shown }: FoundFile): ReadYaml {
  const lineCounter = new LineCounter();
  const document = parseDocument(readText(absolute, shown), { lineCounter, prettyErrors: false });
  const originAt = (offset: number): ConfigOrigin => ({
    kind: "file",
    file: shown,
    line: Math.max(1, lineCounter.linePos(offset).line),
  });
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map(({ pos, message }) => ({
        origin: originAt(pos[0]),
        key: "",
        found: `a mistake in the YAML (${message})`,
        expected: "YAML that can be read",
      })),
    );
  }
  return { value: valueOf(document, shown) ?? {}, originOf: (keys) => mapDefined(offsetOf(document, keys), originAt) };
}

/** Nothing nests deeper than this but a mistake, or an anchor that contains itself. */
const CONFIG_DEPTH_MAX = 20;

function valueOf(document: Document, shown: string): unknown {
  try {
    return unshared(document.toJS(), 0);
  } catch (error) {
    const origin: ConfigOrigin = { kind: "file", file: shown, line: 1 };
    const found = `anchors or nesting that cannot be followed (${(error as Error).message})`;
    throw new ConfigError([{ origin, key: "", found, expected: `at most ${CONFIG_DEPTH_MAX} levels` }]);
  }
}

/** Copies what several aliases share, so that a variable for one lane does not change another. */
function unshared(value: unknown, depth: number): unknown {
  if (depth > CONFIG_DEPTH_MAX) throw new Error("too deep");
  if (Array.isArray(value)) return value.map((item) => unshared(item, depth + 1));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unshared(member, depth + 1)]));
}

function readText(absolute: string, shown: string): string {
  const refuse = (found: string) =>
    new ConfigError([
      { origin: { kind: "file", file: shown, line: 1 }, key: "", found, expected: "a readable file of at most 1 MiB" },
    ]);
  try {
    const stats = statSync(absolute);
    if (!stats.isFile()) throw refuse("something that is not a file");
    if (stats.size > CONFIG_BYTES_MAX) throw refuse(`${stats.size} bytes`);
    return readFileSync(absolute, "utf8");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw refuse(`a file that cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}

/** Where the key stands; of an entry of a list, where its value begins. */
function offsetOf(document: Document, keys: KeyPath): number | undefined {
  let node: unknown = document.contents;
  let offset = 0;
  for (const key of keys) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined || !isScalar(pair.key)) return undefined;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (!isNode(node)) return undefined;
      offset = node.range?.[0] ?? offset;
    } else return undefined;
  }
  return offset;
}

function mapDefined<From, To>(value: From | undefined, map: (value: From) => To): To | undefined {
  return value === undefined ? undefined : map(value);
}

// ---- the environment -------------------------------------------------------------------------------------------------

const PREFIX = /^POSTLANE_/i;
/**
 * Not keys: where the file is, what clients and `sendmail` of the same shell are told, switches of the tests, and what
 * Kubernetes sets for a service named "postlane".
 */
const NOT_KEYS = /^POSTLANE_(?:CONFIG$|KEY$|SMTP$|SPOOL$|SENDMAIL_CONFIG$|TEST_|SERVICE_(?:HOST$|PORT)|PORT(?:$|_))/i;

/** Writes the variables into `value`; answers which key came from which variable. An empty variable is not set. */
function overlayVariables(value: PlainObject, env: Environment, schema: SchemaNode): ReadonlyMap<string, string> {
  const origins = new Map<string, string>();
  if (env["DATABASE_URL"]) {
    value["database_url"] = env["DATABASE_URL"];
    origins.set("database_url", "DATABASE_URL");
  }
  for (const [variable, text] of variablesInOrder(env)) {
    const keys = overlay(value, schema, variable.replace(PREFIX, "").split("__"), text);
    origins.set(printKeys(keys), variable);
  }
  return origins;
}

/** A whole mapping before its parts. */
function variablesInOrder(env: Environment): readonly (readonly [string, string])[] {
  return Object.entries(env)
    .filter(
      (entry): entry is [string, string] => PREFIX.test(entry[0]) && !NOT_KEYS.test(entry[0]) && Boolean(entry[1]),
    )
    .toSorted(([one], [other]) => one.split("__").length - other.split("__").length || (one < other ? -1 : 1));
}

function overlay(value: PlainObject, schema: SchemaNode, segments: readonly string[], text: string): KeyPath {
  const keys: string[] = [];
  let parent = value;
  let node: SchemaNode | undefined = schema;
  for (const [index, segment] of segments.entries()) {
    const key = keyOf(segment, [...childKeys(node), ...Object.keys(parent)]);
    keys.push(key);
    node = childOf(node, key);
    if (index === segments.length - 1) setOwn(parent, key, readVariable(text, node));
    else {
      if (!Object.hasOwn(parent, key) || !isPlainObject(parent[key])) setOwn(parent, key, {});
      parent = parent[key] as PlainObject;
    }
  }
  return keys;
}

/** As a property of the object itself whatever its name: a plain assignment would make `__proto__` vanish. */
function setOwn(parent: PlainObject, key: string, value: unknown): void {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Shells have no hyphens and often no lower case in names, so both are made equal before comparing. */
function keyOf(segment: string, known: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replaceAll("-", "_");
  return known.find((key) => plain(key) === plain(segment)) ?? segment.toLowerCase();
}

function childKeys(node: SchemaNode | undefined): readonly string[] {
  return [...Object.keys(node?.properties ?? {}), ...(node?.anyOf ?? []).flatMap(childKeys)];
}

function childOf(node: SchemaNode | undefined, key: string): SchemaNode | undefined {
  if (node?.properties && Object.hasOwn(node.properties, key)) return node.properties[key];
  if (node?.patternProperties) return Object.values(node.patternProperties)[0];
  return node?.anyOf?.map((branch) => childOf(branch, key)).find((child) => child !== undefined);
}

/** Text stays text where text is wanted, so that a password is never read as YAML; a list may be `a, b`. */
function readVariable(text: string, node: SchemaNode | undefined): unknown {
  if (node === undefined || node.type === "string") return text;
  if (/^\s*[[{]/.test(text)) return readFlow(text);
  if (node.type === "array" || node.anyOf?.some((branch) => branch.type === "array")) {
    return text.split(",").map((item) => item.trim());
  }
  if ((node.type === "integer" || node.type === "number") && /^-?\d+(?:\.\d+)?$/.test(text.trim())) return Number(text);
  if (node.type === "boolean" && /^(?:true|false)$/i.test(text.trim())) return /^true$/i.test(text.trim());
  return text;
}

function readFlow(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}
