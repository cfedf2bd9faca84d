// A private, real Postfix from Debian's package, in a folder of its own: configuration, queue, data and log. It relays
// everything it gets on a free loopback port to one host and port, asks no DNS and rewrites nothing.
// Assumes root (Postfix changes users) and the postfix package; never reads or touches the machine's own instance.
// What made it work: a queue directory owned by root, a data directory owned by postfix, services without chroot,
// `maillog_file_prefixes` that allow the log here, and a `multi_instance_name` that is ours alone.

import { execFile, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

import { needs } from "./needs.ts";
import type { Scope } from "./scope.ts";
import { freePort } from "./smtp-sink.ts";

const run = promisify(execFile);
const POSTFIX = "/usr/sbin/postfix";
/** Another program may take the port between our look and Postfix's bind. */
const startTriesMax = 3;
const commandMsMax = 30_000;
/** Where a message lies while Postfix answers for it, in the order in which it moves. */
const QUEUES = ["maildrop", "incoming", "active", "deferred", "hold"] as const;

export interface PostfixOptions {
  readonly relayTo: { readonly host: string; readonly port: number };
  /** Settings on top of ours, by name. */
  readonly mainCf?: Readonly<Record<string, string>>;
  /** Variables that reach every daemon, such as those of the slow disk. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Postfix {
  readonly host: string;
  readonly port: number;
  readonly configDir: string;
  readonly queueDir: string;
  readonly logFile: string;
  /** What Postfix wrote into its log so far. */
  log(): string;
  /** Messages in its queue, counted by walking the directories: `postqueue` may miss or repeat entries. */
  queueCount(): number;
  /** Stops it and starts it again, with what lies in its queue. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What this machine lacks to run a private Postfix, or undefined. */
export function postfixLack(): string | undefined {
  if (!existsSync(POSTFIX)) return "postfix";
  return process.getuid?.() === 0 ? undefined : "root, to start a private postfix";
}

/** As `needs`, and root: skips the test loudly, or fails it where everything must run. */
export function needsPostfix(t: TestContext): boolean {
  if (!needs(t, "postfix")) return false;
  const lack = postfixLack();
  if (lack === undefined) return true;
  if (process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`${t.name}: needs ${lack}`);
  process.stderr.write(`SKIPPED: needs ${lack} (${t.name})\n`);
  t.skip(`needs ${lack}`);
  return false;
}

export async function startPostfix(scope: Scope, options: PostfixOptions): Promise<Postfix> {
  const lack = postfixLack();
  if (lack !== undefined) throw new Error(`a private Postfix needs ${lack}`);
  const folders = makeFolders();
  const port = await startOnFreePort(folders, options);
  const postfix = describe(folders, port, options.env);
  scope.after(() => postfix.stop());
  return postfix;
}

interface Folders {
  readonly root: string;
  readonly config: string;
  readonly queue: string;
  readonly data: string;
  readonly logFile: string;
}

function makeFolders(): Folders {
  const root = mkdtempSync(path.join(os.tmpdir(), "postlane-postfix-"));
  // The daemons run as postfix and must get through to their folders.
  chmodSync(root, 0o755);
  const folders = {
    root,
    config: path.join(root, "config"),
    queue: path.join(root, "queue"),
    data: path.join(root, "data"),
    logFile: path.join(root, "log", "maillog"),
  };
  for (const folder of [folders.config, folders.queue, folders.data, path.dirname(folders.logFile)]) mkdirSync(folder);
  const [uid, gid] = userAndGroup("postfix");
  chownSync(folders.data, uid, gid);
  return folders;
}

function userAndGroup(name: string): readonly [uid: number, gid: number] {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`no user named ${name}`);
  const [, , uid, gid] = line.split(":");
  return [Number(uid), Number(gid)];
}

async function startOnFreePort(folders: Folders, options: PostfixOptions): Promise<number> {
  for (let tries = 1; ; tries++) {
    const port = await freePort();
    writeFileSync(path.join(folders.config, "main.cf"), mainCf(folders, options));
    writeFileSync(path.join(folders.config, "master.cf"), masterCf(port));
    try {
      await command(folders, "start", options.env);
      return port;
    } catch (error) {
      if (tries < startTriesMax) continue;
      const log = existsSync(folders.logFile) ? readFileSync(folders.logFile, "utf8") : "";
      rmSync(folders.root, { recursive: true, force: true });
      throw new Error(`Postfix did not start: ${log}`, { cause: error });
    }
  }
}

function mainCf(folders: Folders, { relayTo, mainCf: wanted, env }: PostfixOptions): string {
  const carried = Object.keys(env ?? {}).join(" ");
  const settings: Record<string, string> = {
    compatibility_level: "3.6",
    queue_directory: folders.queue,
    data_directory: folders.data,
    maillog_file: folders.logFile,
    maillog_file_prefixes: folders.root,
    multi_instance_name: `postfix-${path.basename(folders.root).toLowerCase()}`,
    syslog_name: "postfix",
    // Postfix clears its environment twice: for its daemons, and for what they run.
    import_environment: `MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME ${carried}`,
    export_environment: `TZ MAIL_CONFIG LANG ${carried}`,
    myhostname: "relay.rig.test",
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    mynetworks: "127.0.0.0/8",
    // Everything is foreign, so everything is relayed.
    mydestination: "",
    local_recipient_maps: "",
    alias_maps: "",
    alias_database: "",
    smtpd_relay_restrictions: "permit_mynetworks, reject",
    relayhost: `[${relayTo.host}]:${relayTo.port}`,
    // No DNS: not for the relay's host, not for the client's name.
    smtp_dns_support_level: "disabled",
    smtp_host_lookup: "native",
    smtpd_peername_lookup: "no",
    // What comes in goes out as it is.
    local_header_rewrite_clients: "",
    always_add_missing_headers: "no",
    swap_bangpath: "no",
    allow_percent_hack: "no",
    // A load generator on one address is no attack.
    default_process_limit: "200",
    smtpd_client_connection_count_limit: "0",
    smtpd_client_connection_rate_limit: "0",
    smtpd_client_message_rate_limit: "0",
    smtpd_client_recipient_rate_limit: "0",
    biff: "no",
    ...wanted,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("");
}

/** The services a relay uses, none of them in a chroot. */
function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;
}

function describe(folders: Folders, port: number, env: PostfixOptions["env"]): Postfix {
  const stopNow = (): void => {
    spawnSync(POSTFIX, ["-c", folders.config, "stop"], { stdio: "ignore", timeout: commandMsMax });
    rmSync(folders.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  // A test that ends early must not leave a mailer behind.
  process.once("exit", stopNow);
  let stopping: Promise<void> | undefined;
  return {
    host: "127.0.0.1",
    port,
    configDir: folders.config,
    queueDir: folders.queue,
    logFile: folders.logFile,
    log: () => (existsSync(folders.logFile) ? readFileSync(folders.logFile, "utf8") : ""),
    queueCount: () => countQueue(folders.queue),
    async restart() {
      await command(folders, "stop");
      await command(folders, "start", env);
    },
    stop: () =>
      (stopping ??= command(folders, "stop").finally(() => {
        process.removeListener("exit", stopNow);
        rmSync(folders.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      })),
  };
}

/** Walked as mail moves, each name once: what moves on meanwhile is neither missed nor counted twice. */
function countQueue(queueDir: string): number {
  return new Set(QUEUES.flatMap((queue) => fileNames(path.join(queueDir, queue)))).size;
}

function fileNames(folder: string): readonly string[] {
  return listOrNothing(folder).flatMap((entry) =>
    entry.isDirectory() ? fileNames(path.join(folder, entry.name)) : [entry.name],
  );
}

function listOrNothing(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

async function command(
  folders: Folders,
  verb: "start" | "stop",
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  await run(POSTFIX, ["-c", folders.config, verb], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C", ...env },
    timeout: commandMsMax,
  });
}
