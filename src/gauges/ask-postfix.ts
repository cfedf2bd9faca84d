// What an agent has to know of a Postfix instance, asked by `postconf`: anybody may ask it, and nothing is changed.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface PostfixAnswers {
  readonly queueDirectory: string;
  readonly myHostname: string;
  /** What its lines in the log begin with. */
  readonly syslogName: string;
  /** Absent: it logs to syslog or the journal, which may drop lines. */
  readonly logFile?: string;
  /** Absent: it delivers to the recipients' own hosts. */
  readonly nextHop?: string;
  /** Where `virtual(8)` delivers failure notices for `returnsDomain`; absent: it does not. */
  readonly returnsMaildir?: string;
  readonly logsClientPorts: boolean;
}

const POSTCONF_MS_MAX = 5000;
const POSTCONF_BYTES_MAX = 64 * 1024;
const NAMES = [
  "queue_directory",
  "myhostname",
  "syslog_name",
  "maillog_file",
  "relayhost",
  "default_transport",
  "smtpd_client_port_logging",
  "virtual_mailbox_domains",
  "virtual_mailbox_base",
  "virtual_mailbox_maps",
] as const;

/** Asks nobody but the instance of that folder. */
export async function askPostfix(configDir: string, returnsDomain?: string): Promise<PostfixAnswers> {
  const { stdout } = await promisify(execFile)("postconf", ["-x", "-c", configDir, ...NAMES], {
    timeout: POSTCONF_MS_MAX,
    maxBuffer: POSTCONF_BYTES_MAX,
    env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`, LANG: "C" },
  });
  return readAnswers(stdout, returnsDomain);
}

/** `name = value`, one a line. */
export function readAnswers(printed: string, returnsDomain?: string): PostfixAnswers {
  const values = new Map(
    printed.split("\n").flatMap((line) => {
      const [, name, value = ""] = /^(\w+) =(?: (.*))?$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value.trim()] as const];
    }),
  );
  const valueOf = (name: (typeof NAMES)[number]): string => values.get(name) ?? "";
  const nextHop = valueOf("relayhost") || nextHopOf(valueOf("default_transport"));
  const logFile = valueOf("maillog_file");
  const maildir = returnsDomain === undefined ? undefined : maildirOf(valueOf, returnsDomain);
  return {
    queueDirectory: valueOf("queue_directory"),
    myHostname: valueOf("myhostname"),
    syslogName: valueOf("syslog_name"),
    ...(logFile === "" || logFile === "/dev/stdout" ? {} : { logFile }),
    ...(nextHop === "" ? {} : { nextHop }),
    ...(maildir === undefined ? {} : { returnsMaildir: maildir }),
    logsClientPorts: valueOf("smtpd_client_port_logging") === "yes",
  };
}

/** `smtp:[provider.example]` names a next hop, `smtp` does not. */
function nextHopOf(transport: string): string {
  return /^[^:]*:(.+)$/.exec(transport)?.[1] ?? "";
}

/** All addresses of the domain into one Maildir: `virtual_mailbox_maps = static:returns/` below the base. */
function maildirOf(
  valueOf: (name: "virtual_mailbox_domains" | "virtual_mailbox_base" | "virtual_mailbox_maps") => string,
  returnsDomain: string,
): string | undefined {
  const domains = valueOf("virtual_mailbox_domains")
    .toLowerCase()
    .split(/[\s,]+/);
  const [, folder] = /^static:(?:\{\s*)?([^\s{}]+\/)(?:\s*\})?$/.exec(valueOf("virtual_mailbox_maps")) ?? [];
  const base = valueOf("virtual_mailbox_base");
  if (folder === undefined || base === "" || !domains.includes(returnsDomain.toLowerCase())) return undefined;
  return `${base.replace(/\/+$/, "")}/${folder.replace(/^\/+|\/+$/g, "")}`;
}
