// Real Postfix instances as `postlane postfix init` makes them, in a temporary root: planned and applied by the product
// itself, then led away from the world. Without DNS, each recipient domain goes where its route says, everything else to
// `relayTo`, and where there is neither, it is refused at RCPT: no mail leaves the machine. All is stopped and removed
// at the end.
// Assumes root and Debian's postfix package (`needsPostfix`). Never touches the machine's own instance.

import { execFile, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { findAccount } from "../../src/mailers/find-account.ts";
import { applySteps, judgePlan } from "../../src/mailers/postfix/apply-plan.ts";
import type { Instance, InstanceRole } from "../../src/mailers/postfix/instance-files.ts";
import { planInstances } from "../../src/mailers/postfix/plan-instances.ts";
import { stopInstance } from "../../src/mailers/postfix/run-instance.ts";
import { postfixLack } from "./postfix.ts";
import type { Scope } from "./scope.ts";

const run = promisify(execFile);
const commandMsMax = 30_000;
/** Another program may take a port between our look and Postfix's bind. */
const startTriesMax = 5;
/** Below the ports that the kernel gives to clients. */
const portsFrom = 20_000;
const portsTo = 30_000;
const DEFAULT_INSTANCES = { transactional: "transactional", bulk: "bulk", retries: "retries" } as const;
const SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

export interface RigAddress {
  readonly host: string;
  readonly port: number;
}

export interface PostfixInstancesOptions {
  /** By name; otherwise transactional, bulk and retries. */
  readonly instances?: Readonly<Record<string, InstanceRole>>;
  /** Otherwise `returns.test`. */
  readonly returnsDomain?: string;
  /** Where mail to a recipient domain goes. Each loopback address (127.0.1.7) is a destination of its own. */
  readonly routes?: Readonly<Record<string, RigAddress>>;
  /** Where everything else goes; absent: it is refused with 550 5.4.4 at RCPT. */
  readonly relayTo?: RigAddress;
  /** Settings of every instance on top of the product's, such as a shorter `maximal_queue_lifetime`. */
  readonly mainCf?: Readonly<Record<string, string>>;
  /** Whose Maildirs they are; otherwise postfix. */
  readonly user?: string;
  /** Variables that reach every daemon, such as those of the slow disk. */
  readonly env?: Readonly<Record<string, string>>;
  /** `false`: made, and not started. */
  readonly isStarted?: boolean;
}

export interface RigInstance extends Instance {
  readonly host: "127.0.0.1";
  /** What it wrote into its log so far. */
  log(): string;
  /** The notices in its Maildir, the oldest first. */
  notices(): readonly string[];
  /** Changes settings, and tells a running instance. */
  set(settings: Readonly<Record<string, string>>): Promise<void>;
  start(): Promise<void>;
  /** Waits until it is down. */
  stop(): Promise<void>;
}

export interface PostfixInstances {
  readonly root: string;
  /** `lanes` and `outlets` for postlane.yaml, as the product prints them. */
  readonly yaml: string;
  readonly all: readonly RigInstance[];
  /** Throws when there is none of that name. */
  get(name: string): RigInstance;
}

export async function startPostfixInstances(
  scope: Scope,
  options: PostfixInstancesOptions = {},
): Promise<PostfixInstances> {
  const lack = postfixLack();
  if (lack !== undefined) throw new Error(`Postfix instances need ${lack}`);
  for (let tries = 1; ; tries++) {
    const made = await makeInstances(options);
    try {
      if (options.isStarted !== false) for (const instance of made.all) await instance.start();
      endWith(scope, made);
      return made;
    } catch (error) {
      await removeInstances(made);
      if (tries >= startTriesMax) throw error;
    }
  }
}

async function makeInstances(options: PostfixInstancesOptions): Promise<PostfixInstances> {
  const root = mkdtempSync(path.join(os.tmpdir(), "postlane-instances-"));
  // The daemons are no root and must get through to their folders.
  chmodSync(root, 0o755);
  const wanted = Object.entries(options.instances ?? DEFAULT_INSTANCES).map(([name, role]) => ({ name, role }));
  const mailOwner = await accountOf("postfix");
  const plan = planInstances({
    root,
    instances: wanted,
    firstPort: await freePorts(wanted.length),
    hostname: "relay.rig.test",
    returnsDomain: options.returnsDomain ?? "returns.test",
    returnsUser: options.user === undefined ? mailOwner : await accountOf(options.user),
    mailOwner,
  });
  const judged = await judgePlan(plan);
  if (judged.kind !== "ready") throw new Error(`the plan cannot be applied: ${JSON.stringify(judged)}`);
  await applySteps(judged.steps);
  for (const instance of plan.instances) await leadAway(instance, options);
  const all = plan.instances.map((instance) => describe(instance, options));
  return { root, yaml: plan.yaml, all, get: (name) => named(all, name) };
}

function named(all: readonly RigInstance[], name: string): RigInstance {
  const instance = all.find((one) => one.name === name);
  if (instance === undefined) throw new Error(`no instance is named ${name}`);
  return instance;
}

async function accountOf(name: string) {
  const account = await findAccount(name);
  if (account === undefined) throw new Error(`no user named ${name}`);
  return account;
}

/** No DNS, and nothing goes anywhere but to the loopback. */
async function leadAway(instance: Instance, options: PostfixInstancesOptions): Promise<void> {
  const routes = Object.entries(options.routes ?? {}).map(([domain, to]) => `${domain} ${printRoute(to)}\n`);
  writeFileSync(path.join(instance.configDir, "transport"), routes.join(""));
  const carried = Object.keys(options.env ?? {}).join(" ");
  await setAll(instance, {
    transport_maps: `texthash:${instance.configDir}/transport`,
    default_transport: options.relayTo === undefined ? "error:5.4.4 no route in the rig" : printRoute(options.relayTo),
    smtp_dns_support_level: "disabled",
    smtp_host_lookup: "native",
    // Postfix clears its environment twice: for its daemons, and for what they run.
    import_environment: `MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME ${carried}`,
    export_environment: `TZ MAIL_CONFIG LANG ${carried}`,
    ...options.mainCf,
  });
}

const printRoute = ({ host, port }: RigAddress): string => `smtp:[${host}]:${port}`;

async function setAll({ configDir }: Instance, settings: Readonly<Record<string, string>>): Promise<void> {
  const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await command("postconf", ["-c", configDir, "-e", ...words]);
}

function describe(instance: Instance, { env }: PostfixInstancesOptions): RigInstance {
  const { configDir, logFile, maildir } = instance;
  return {
    ...instance,
    host: "127.0.0.1",
    log: () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : ""),
    notices: () => noticesIn(path.join(maildir, "new")),
    async set(settings) {
      await setAll(instance, settings);
      if (await isRunning(configDir)) await command("postfix", ["-c", configDir, "reload"], env);
    },
    start: () => command("postfix", ["-c", configDir, "start"], env),
    stop: () => stopInstance(configDir),
  };
}

/** Names in a Maildir begin with the second of the delivery. */
function noticesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(path.join(folder, name), "utf8"));
}

async function isRunning(configDir: string): Promise<boolean> {
  return command("postfix", ["-c", configDir, "status"]).then(
    () => true,
    () => false,
  );
}

async function command(program: string, words: readonly string[], env?: Readonly<Record<string, string>>) {
  await run(program, words, { env: { PATH: SEARCH_PATH, LANG: "C", ...env }, timeout: commandMsMax });
}

// ---- ports

/** The first of so many in a row that nobody listens on. */
async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const first = portsFrom + Math.floor(Math.random() * (portsTo - portsFrom - count));
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} free ports in a row between ${portsFrom} and ${portsTo}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

// ---- the end

function endWith(scope: Scope, made: PostfixInstances): void {
  const stopNow = (): void => {
    for (const { configDir } of made.all) {
      spawnSync("/usr/sbin/postfix", ["-c", configDir, "stop"], { stdio: "ignore", timeout: commandMsMax });
    }
    rmSync(made.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  // A test that ends early must not leave a mailer behind.
  process.once("exit", stopNow);
  scope.after(async () => {
    await removeInstances(made);
    process.removeListener("exit", stopNow);
  });
}

async function removeInstances({ all, root }: PostfixInstances): Promise<void> {
  for (const { configDir } of all) if (await isRunning(configDir)) await stopInstance(configDir);
  rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
