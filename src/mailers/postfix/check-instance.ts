// Whether an instance is as Postlane needs it, and what to do about what is not. Of an instance that Postlane did not
// make only what Postlane cannot do there is told: it belongs to others, and nothing, least of all its lifetime, is
// asked to change. Writes nothing but the lines that Postfix's own check and status write into the instance's log.

import { access, constants, open, stat } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { troublesIn } from "./log-troubles.ts";
import { runCommand } from "../run-command.ts";
import { readInstance, parseTime, type InstanceFacts } from "./read-instance.ts";

export interface Finding {
  /** `wrong` makes the check fail; `note` is what Postlane does without. */
  readonly level: "wrong" | "note";
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export interface InstanceChecked {
  readonly configDir: string;
  readonly isOurs: boolean;
  /** Undefined: it cannot be told without root. */
  readonly isRunning?: boolean;
  readonly findings: readonly Finding[];
}

export interface CheckPorts {
  readonly clock: Clock;
  /** Of this process. */
  readonly uid: number;
}

export async function checkInstance(
  configDir: string,
  returnsDomain: string | undefined,
  ports: CheckPorts,
): Promise<InstanceChecked> {
  const read = await readInstance(configDir);
  if (read.kind === "failed") return { configDir, isOurs: false, findings: [unreadable(configDir, read.problem)] };
  const { facts } = read;
  const isRunning = ports.uid === 0 ? await isInstanceRunning(configDir) : undefined;
  const findings = facts.isOurs
    ? await findingsOfOurs(facts, returnsDomain, isRunning, ports)
    : findingsOfOthers(facts, isRunning);
  return { configDir, isOurs: facts.isOurs, ...(isRunning === undefined ? {} : { isRunning }), findings };
}

const unreadable = (configDir: string, problem: string): Finding => ({
  level: "wrong",
  code: "unreadable",
  message: problem,
  remedy: `is ${configDir} the configuration folder of an instance, and is Postfix installed? \`postlane postfix init\` makes instances`,
});

/** As root. */
export async function isInstanceRunning(configDir: string): Promise<boolean> {
  return (await runCommand("postfix", ["-c", configDir, "status"])).code === 0;
}

// ---- instances that Postlane made

async function findingsOfOurs(
  facts: InstanceFacts,
  returnsDomain: string | undefined,
  isRunning: boolean | undefined,
  ports: CheckPorts,
): Promise<readonly Finding[]> {
  return [
    ...settingFindings(facts),
    ...returnsFindings(facts, returnsDomain),
    ...(await folderFindings(facts)),
    ...(ports.uid === 0 ? await postfixFindings(facts, ports.clock) : []),
    ...(isRunning === false ? [notRunning(facts)] : []),
  ];
}

/** What the agent's evidence and the plug's way home rest on. */
const NEEDED: readonly (readonly [name: string, value: string, why: string])[] = [
  ["enable_long_queue_ids", "yes", "short queue ids are used again, so a log line may be about another message"],
  ["smtpd_client_port_logging", "yes", "without ports no session in the log can be told from another"],
  ["in_flow_delay", "0s", "Postfix slows its client down by itself, and the governor mistakes it for a slow disk"],
  ["local_header_rewrite_clients", "", "mail from this machine is rewritten, and DKIM signatures break"],
  ["inet_interfaces", "127.0.0.1", "others could relay through it"],
];

function settingFindings({ configDir, settings, lifetimeMs, logFile }: InstanceFacts): readonly Finding[] {
  const edit = (name: string, value: string): string =>
    `\`postconf -c ${configDir} -e '${name} = ${value}'\`, and reload`;
  const differing = NEEDED.filter(([name, value]) => settings[name] !== value).map(([name, value, why]) =>
    wrong("setting", `${name} is "${settings[name] ?? ""}": ${why}`, edit(name, value)),
  );
  const bounceLifetimeMs = parseTime(settings["bounce_queue_lifetime"] ?? "", "d") ?? 0;
  return [
    ...differing,
    ...(logFile === undefined
      ? [
          wrong(
            "no_log_file",
            "it has no log file of its own: the journal is no evidence",
            edit("maillog_file", path.join(path.dirname(configDir), "log/maillog")),
          ),
        ]
      : []),
    ...(lifetimeMs > OUR_LIFETIME_MS_MAX
      ? [
          wrong(
            "long_lifetime",
            `maximal_queue_lifetime is ${settings["maximal_queue_lifetime"]}: stuck mail stays in the relay for that long`,
            edit("maximal_queue_lifetime", "30m"),
          ),
        ]
      : []),
    ...(bounceLifetimeMs === 0
      ? [
          wrong(
            "no_bounce_lifetime",
            "bounce_queue_lifetime is 0: a notice that cannot be delivered at once is lost in silence",
            edit("bounce_queue_lifetime", "30m"),
          ),
        ]
      : []),
  ];
}

/** DESIGN: minutes to an hour. */
const OUR_LIFETIME_MS_MAX = 3_600_000;

function returnsFindings(facts: InstanceFacts, returnsDomain: string | undefined): readonly Finding[] {
  const { configDir } = facts;
  if (facts.returnsDomain === undefined || facts.maildir === undefined) {
    return [
      wrong(
        "no_returns",
        "it delivers no notices into a Maildir, so nothing comes home",
        `set virtual_mailbox_domains, virtual_mailbox_base and virtual_mailbox_maps in ${configDir}/main.cf as \`postlane postfix init\` prints them`,
      ),
    ];
  }
  if (returnsDomain === undefined) {
    return [
      wrong(
        "returns_domain_unset",
        `returns.domain is not set, and the instance takes notices for ${facts.returnsDomain}`,
        `set \`returns: { domain: ${facts.returnsDomain} }\` in postlane.yaml`,
      ),
    ];
  }
  if (facts.returnsDomain === returnsDomain) return [];
  return [
    wrong(
      "returns_domain_differs",
      `the instance takes notices for ${facts.returnsDomain}, and returns.domain is ${returnsDomain}: its notices go astray`,
      `\`postconf -c ${configDir} -e 'virtual_mailbox_domains = ${returnsDomain}'\` and reload, or set returns.domain back`,
    ),
  ];
}

async function folderFindings(facts: InstanceFacts): Promise<readonly Finding[]> {
  const { queueDir, maildir } = facts;
  return [
    ...(await ownerFindings(queueDir, "queue_owner", 0, "chown root:root")),
    ...(maildir === undefined ? [] : await maildirFindings(maildir, facts)),
  ];
}

/** A folder that this user may not even look at says nothing of its owner. */
async function ownerFindings(folder: string, code: string, uid: number, command: string): Promise<readonly Finding[]> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => error.code);
  if (found === "EACCES") return [];
  if (typeof found !== "object") return [wrong(code, `${folder} is missing (${found})`, MAKE_AGAIN)];
  if (found.uid === uid) return [];
  return [wrong(code, `${folder} belongs to user ${found.uid}`, `\`${command} ${folder}\``)];
}

const MAKE_AGAIN = "`postlane postfix init --apply` with the same options makes what is missing";

async function maildirFindings(maildir: string, { settings }: InstanceFacts): Promise<readonly Finding[]> {
  const [, deliveredAs = ""] = /^static:(\d{1,10})$/.exec(settings["virtual_uid_maps"] ?? "") ?? [];
  const folders = [maildir, ...["tmp", "new", "cur"].map((name) => path.join(maildir, name))];
  const owned = await Promise.all(
    folders.map((folder) => ownerFindings(folder, "maildir_owner", Number(deliveredAs), `chown ${deliveredAs}`)),
  );
  if (owned.flat().length > 0) return owned.flat();
  const isOpen = await access(path.join(maildir, "new"), constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (isOpen) return [];
  return [
    wrong(
      "maildir_closed",
      `this user can not read and delete in ${maildir}, which belongs to user ${deliveredAs}`,
      `run Postlane's agent as user ${deliveredAs}, or make the instances with --user`,
    ),
  ];
}

const notRunning = ({ configDir }: InstanceFacts): Finding =>
  wrong("not_running", "it is not running", `\`postfix -c ${configDir} start\``);

function wrong(code: string, message: string, remedy: string): Finding {
  return { level: "wrong", code, message, remedy };
}

// ---- Postfix's own check

const CHECK_LOG_MS_MAX = 5000;
const CHECK_LOG_POLL_MS = 50;
const LOG_BYTES_MAX = 262_144;

/**
 * `postfix check` ends with 0 whatever it warns of, and says it in the log alone. So the log is read from where it
 * ended, up to a line that is written behind the check.
 */
async function postfixFindings({ configDir, logFile }: InstanceFacts, clock: Clock): Promise<readonly Finding[]> {
  const from = logFile === undefined ? 0 : await sizeOf(logFile);
  const { code, stderr } = await runCommand("postfix", ["-c", configDir, "check"]);
  const said = logFile === undefined ? stderr : `${stderr}\n${await readCheckLog(configDir, logFile, from, clock)}`;
  const warnings = [...new Set(troublesIn(said))].map((message) =>
    wrong("postfix_check", message, `see \`postfix -c ${configDir} check\``),
  );
  if (code === 0 || warnings.length > 0) return warnings;
  return [wrong("postfix_check", "`postfix check` fails and says nothing", `run \`postfix -c ${configDir} check\``)];
}

async function readCheckLog(configDir: string, logFile: string, from: number, clock: Clock): Promise<string> {
  const mark = `the check of Postlane ends here, ${clock.wallMs()}`;
  await runCommand("postlog", ["-c", configDir, "-t", "postlane", "-p", "info", mark]);
  const until = clock.monotonicMs() + CHECK_LOG_MS_MAX;
  for (;;) {
    const text = await readFrom(logFile, from);
    if (text.includes(mark) || clock.monotonicMs() > until) return text.split(mark)[0]!;
    await new Promise<void>((resolve) => void clock.after(CHECK_LOG_POLL_MS, resolve));
  }
}

const sizeOf = async (file: string): Promise<number> => (await stat(file).catch(() => ({ size: 0 }))).size;

async function readFrom(file: string, from: number): Promise<string> {
  const handle = await open(file, "r").catch(() => undefined);
  if (handle === undefined) return "";
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOG_BYTES_MAX), 0, LOG_BYTES_MAX, from);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

// ---- instances of others

function findingsOfOthers(facts: InstanceFacts, isRunning: boolean | undefined): readonly Finding[] {
  const { settings, logFile } = facts;
  return [
    note(
      "not_ours",
      "Postlane did not make this instance: it keeps its settings and its lifetime, and what is stuck in it stays there",
      "nothing, if that is wanted; `postlane postfix init` makes instances of Postlane's own beside it",
    ),
    ...(logFile === undefined
      ? [note("no_log_file", "it logs to syslog: good for events, but never evidence for `unknown` messages", NOTHING)]
      : []),
    ...(settings["enable_long_queue_ids"] !== "yes" || settings["smtpd_client_port_logging"] !== "yes"
      ? [note("no_evidence", "its log does not tell sessions and queue ids apart: `unknown` messages stay so", NOTHING)]
      : []),
    ...(settings["local_header_rewrite_clients"] === ""
      ? []
      : [note("rewrites", "it may rewrite addresses in mail from this machine", NOTHING)]),
    ...(isRunning === false ? [wrong("not_running", "it is not running", "start it")] : []),
  ];
}

const NOTHING = "nothing: Postlane does without it";

function note(code: string, message: string, remedy: string): Finding {
  return { level: "note", code, message, remedy };
}
