// An instance of Postfix as its configuration says (`postconf -c DIR`): where its queue, log and Maildir are, what it
// calls itself, and whether Postlane made it. Works for any instance, also the system's own; what it does not have is
// absent. Reads only.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { OUR_MARK } from "./instance-files.ts";
import { runCommand } from "../run-command.ts";
import { readableText } from "../readable-text.ts";

export interface InstanceFacts {
  readonly configDir: string;
  /** `postlane postfix init` made it. */
  readonly isOurs: boolean;
  /** `syslog_name`: what its log lines begin with. */
  readonly nameInLog: string;
  /** `Reporting-MTA` of its notices. */
  readonly hostname: string;
  readonly queueDir: string;
  /** Absent: it logs to syslog. */
  readonly logFile?: string;
  /** Where notices to the returns domain are delivered, for an instance that does so. */
  readonly maildir?: string;
  readonly returnsDomain?: string;
  readonly lifetimeMs: number;
  /** Everything goes on through this host; absent: to the recipients' own. */
  readonly relayhost?: string;
  /** All that was asked for, by name. */
  readonly settings: Readonly<Record<string, string>>;
}

export type InstanceRead =
  | { readonly kind: "instance"; readonly facts: InstanceFacts }
  /** What `postconf` said. */
  | { readonly kind: "failed"; readonly problem: string };

const ASKED = [
  "queue_directory",
  "data_directory",
  "mail_owner",
  "maillog_file",
  "syslog_name",
  "myhostname",
  "enable_long_queue_ids",
  "smtpd_client_port_logging",
  "in_flow_delay",
  "local_header_rewrite_clients",
  "inet_interfaces",
  "maximal_queue_lifetime",
  "bounce_queue_lifetime",
  "virtual_mailbox_domains",
  "virtual_mailbox_base",
  "virtual_mailbox_maps",
  "virtual_uid_maps",
  "relayhost",
] as const;
type Asked = (typeof ASKED)[number];

export async function readInstance(configDir: string): Promise<InstanceRead> {
  const { code, stdout, stderr } = await runCommand("postconf", ["-c", configDir, "-x", ...ASKED]);
  const settings = parseSettings(stdout);
  if (code !== 0 || settings["queue_directory"] === undefined) {
    const problem = readableText(stderr.trim().slice(0, PROBLEM_CHARS_MAX));
    return { kind: "failed", problem: problem === "" ? `postconf could not read ${configDir}` : problem };
  }
  return { kind: "instance", facts: factsOf(configDir, settings, await isMadeByUs(configDir)) };
}

const PROBLEM_CHARS_MAX = 300;

/** `name = value`, a line each. */
export function parseSettings(text: string): Readonly<Record<string, string>> {
  const settings = text.split("\n").flatMap((line) => {
    const match = /^([a-z_0-9]{1,100}) =(?: (.*))?$/.exec(line);
    return match === null ? [] : [[match[1]!, readableText((match[2] ?? "").trim())] as const];
  });
  return Object.fromEntries(settings);
}

function factsOf(configDir: string, settings: Readonly<Record<string, string>>, isOurs: boolean): InstanceFacts {
  const get = (name: Asked): string => settings[name] ?? "";
  const [returnsDomain] = get("virtual_mailbox_domains").split(/[\s,]+/);
  const maildir = maildirOf(get("virtual_mailbox_base"), get("virtual_mailbox_maps"));
  return {
    configDir,
    isOurs,
    nameInLog: get("syslog_name"),
    hostname: get("myhostname"),
    queueDir: get("queue_directory"),
    ...(path.isAbsolute(get("maillog_file")) ? { logFile: get("maillog_file") } : {}),
    ...(maildir === undefined ? {} : { maildir }),
    ...(returnsDomain === undefined || returnsDomain === "" ? {} : { returnsDomain: returnsDomain.toLowerCase() }),
    lifetimeMs: parseTime(get("maximal_queue_lifetime"), "d") ?? LIFETIME_MS_DEFAULT,
    ...(get("relayhost") === "" ? {} : { relayhost: get("relayhost") }),
    settings,
  };
}

const LIFETIME_MS_DEFAULT = 5 * 86_400_000;

/** Of the one form that `init` writes: a base, and `static:FOLDER/`. */
function maildirOf(base: string, maps: string): string | undefined {
  const match = /^static:([\w.-]{1,100})\/$/.exec(maps);
  return match === null || !path.isAbsolute(base) ? undefined : path.join(base, match[1]!);
}

async function isMadeByUs(configDir: string): Promise<boolean> {
  const text = await readFile(path.join(configDir, "main.cf"), "utf8").catch(() => "");
  return text.startsWith(`${OUR_MARK}\n`);
}

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `15m`, or a number in the setting's own unit. */
export function parseTime(text: string, defaultUnit: keyof typeof UNITS_MS): number | undefined {
  const match = /^(\d{1,9})([smhdw]?)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * UNITS_MS[match[2] === "" ? defaultUnit : match[2]!]!;
}
