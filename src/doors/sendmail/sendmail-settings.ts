// What the sendmail command goes by: /etc/postlane/sendmail.json if it is there, POSTLANE_SMTP and POSTLANE_SPOOL over
// it, and defaults. It reads neither postlane.yaml nor the database: any user of the machine may send mail, and few may
// read those.

import { readFileSync } from "node:fs";
import { hostname } from "node:os";

export interface SendmailSettings {
  /** Where the front takes SMTP without a password. */
  readonly smtp: { readonly host: string; readonly port: number };
  /** Where mail is kept that Postlane does not take now; absent: the usual places. */
  readonly spool?: string;
  /** Of one mail, with its lines ended by CRLF. */
  readonly messageBytesMax: number;
  /** In the spool, for each user. */
  readonly spoolMailsMax: number;
  readonly spoolBytesMax: number;
  /** Makes `root@` of root's mail; absent: the machine's own. */
  readonly domain: string;
  /** Whose mail goes where: `root` → `ops@example.com`. */
  readonly aliases: ReadonlyMap<string, string>;
}

export type SettingsRead =
  | { readonly kind: "settings"; readonly settings: SendmailSettings }
  | { readonly kind: "bad"; readonly problem: string };

const SETTINGS_FILE = "/etc/postlane/sendmail.json";
const SMTP_DEFAULT = "127.0.0.1:2525";
/** What the SMTP door takes by default (`smtp.max_message`): more would be refused there. */
const MESSAGE_BYTES_MAX = 10 * 1024 * 1024;
/** A site that sends one a second has nearly three hours. */
const SPOOL_MAILS_MAX = 10_000;
const SPOOL_BYTES_MAX = 1024 * 1024 * 1024;

type Environment = Readonly<Record<string, string | undefined>>;

export function readSendmailSettings(env: Environment): SettingsRead {
  const named = env["POSTLANE_SENDMAIL_CONFIG"];
  const file = named ?? SETTINGS_FILE;
  try {
    const given = readGiven(file, named !== undefined);
    return { kind: "settings", settings: settingsOf(given, env) };
  } catch (error) {
    return { kind: "bad", problem: `${file}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

type Given = Readonly<Record<string, unknown>>;

function readGiven(file: string, isNamed: boolean): Given {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !isNamed) return {};
    throw error;
  }
  const given: unknown = JSON.parse(text);
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new Error("it must be a JSON object");
  for (const key of Object.keys(given)) {
    if (!KEYS.includes(key)) throw new Error(`there is no key ${JSON.stringify(key)}; keys are ${KEYS.join(", ")}`);
  }
  return given as Given;
}

const KEYS = ["smtp", "spool", "message_bytes_max", "spool_mails_max", "spool_bytes_max", "domain", "aliases"];

function settingsOf(given: Given, env: Environment): SendmailSettings {
  const spool = env["POSTLANE_SPOOL"] ?? textOf(given, "spool");
  return {
    smtp: placeOf(env["POSTLANE_SMTP"] ?? textOf(given, "smtp") ?? SMTP_DEFAULT),
    ...(spool === undefined ? {} : { spool }),
    messageBytesMax: countOf(given, "message_bytes_max") ?? MESSAGE_BYTES_MAX,
    spoolMailsMax: countOf(given, "spool_mails_max") ?? SPOOL_MAILS_MAX,
    spoolBytesMax: countOf(given, "spool_bytes_max") ?? SPOOL_BYTES_MAX,
    domain: textOf(given, "domain") ?? machineDomain(),
    aliases: aliasesOf(given),
  };
}

function textOf(given: Given, key: string): string | undefined {
  const value = given[key];
  if (value !== undefined && (typeof value !== "string" || value === "")) throw new Error(`"${key}" must be a string`);
  return value;
}

function countOf(given: Given, key: string): number | undefined {
  const value = given[key];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw new Error(`"${key}" must be a whole number of 1 or more`);
  }
  return value;
}

function aliasesOf(given: Given): SendmailSettings["aliases"] {
  const aliases = given["aliases"] ?? {};
  const isMapping = typeof aliases === "object" && aliases !== null && !Array.isArray(aliases);
  if (!isMapping || Object.values(aliases).some((to) => typeof to !== "string")) {
    throw new Error('"aliases" must be an object such as {"root": "ops@example.com"}');
  }
  return new Map(Object.entries(aliases as Record<string, string>).map(([of, to]) => [of.toLowerCase(), to]));
}

function placeOf(text: string): SendmailSettings["smtp"] {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new Error(`"smtp" (or POSTLANE_SMTP) must be an address with its port, such as "${SMTP_DEFAULT}"`);
  }
  return { host, port: Number(port) };
}

/** As Debian's mail programs find it. */
function machineDomain(): string {
  try {
    const name = readFileSync("/etc/mailname", "utf8").trim();
    if (name !== "") return name;
  } catch {
    // There is none; the machine has a name anyway.
  }
  return hostname();
}
