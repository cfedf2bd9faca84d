// A private, real Exim in a folder of its own: configuration, spool and log, listening on a free loopback port, without
// DNS; each recipient domain goes where its route says. Exim and Postfix exclude each other as Debian packages, so Exim
// may lie unpacked anywhere: POSTLANE_TEST_EXIM names its program. It needs root, and the user Debian-exim.

import { execFile, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

import { findAccount } from "../../src/mailers/find-account.ts";
import { until } from "./lane-mail.ts";
import type { Scope } from "./scope.ts";
import { freePort } from "./smtp-sink.ts";

const run = promisify(execFile);
const commandMsMax = 30_000;

export interface EximOptions {
  readonly routes: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
}

export interface Exim {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly spool: string;
  /** Words that run this Exim with its own configuration. */
  readonly command: readonly string[];
  /** A program of one word that does the same. */
  readonly program: string;
  run(...words: readonly string[]): Promise<string>;
}

const eximProgram = (): string => process.env["POSTLANE_TEST_EXIM"] ?? "/usr/sbin/exim4";

/** Skips the test loudly without Exim, its user or root, or fails it where everything must run. */
export async function needsExim(t: TestContext): Promise<boolean> {
  const lack = await eximLack();
  if (lack === undefined) return true;
  if (process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(`${t.name}: needs ${lack}`);
  process.stderr.write(`SKIPPED: needs ${lack} (${t.name})\n`);
  t.skip(`needs ${lack}`);
  return false;
}

async function eximLack(): Promise<string | undefined> {
  if (!existsSync(eximProgram())) return "exim4-daemon-light, installed or unpacked and named by POSTLANE_TEST_EXIM";
  if (process.getuid?.() !== 0) return "root, to start a private exim";
  return (await findAccount("Debian-exim")) === undefined ? "the user Debian-exim, whom Exim runs as" : undefined;
}

export async function startExim(scope: Scope, options: EximOptions): Promise<Exim> {
  const root = mkdtempSync(path.join(os.tmpdir(), "postlane-exim-"));
  chmodSync(root, 0o755);
  const account = (await findAccount("Debian-exim"))!;
  const spool = path.join(root, "spool");
  for (const folder of [spool, path.join(root, "log")]) {
    mkdirSync(folder);
    chownSync(folder, account.uid, account.gid);
  }
  const port = await freePort();
  const config = path.join(root, "exim.conf");
  writeFileSync(config, configuration(root, port, options), { mode: 0o644 });
  const program = path.join(root, "exim");
  writeFileSync(program, `#!/bin/sh\nexec ${eximProgram()} -C ${config} "$@"\n`, { mode: 0o755 });
  const command = [eximProgram(), "-C", config];

  const child = spawn(command[0]!, [...command.slice(1), "-bdf"], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  scope.after(async () => {
    child.kill("SIGTERM");
    await ended;
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const exim: Exim = {
    host: "127.0.0.1",
    port,
    spool,
    command,
    program,
    run: async (...words) => (await run(program, words, { timeout: commandMsMax })).stdout,
  };
  await until("Exim listens", () => existsSync(path.join(spool, "exim-daemon.pid")));
  return exim;
}

function configuration(root: string, port: number, { routes }: EximOptions): string {
  const entries = Object.entries(routes).map(([domain, to], index) => ({ domain, ...to, index }));
  return `exim_path = ${eximProgram()}
spool_directory = ${root}/spool
pid_file_path = ${root}/spool/exim-daemon.pid
log_file_path = ${root}/log/%slog
primary_hostname = exim.rig.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${port}
tls_advertise_hosts =
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
keep_environment =
split_spool_directory = true
begin routers
${entries
  .map(
    ({ domain, host, index }) => `route_${index}:
  driver = manualroute
  domains = ${domain}
  route_list = * ${host}
  self = send
  transport = to_${index}
`,
  )
  .join("")}begin transports
${entries
  .map(
    (entry) => `to_${entry.index}:
  driver = smtp
  port = ${entry.port}
  allow_localhost
  hosts_try_fastopen =
`,
  )
  .join("")}begin retry
* * F,2h,15m
`;
}
