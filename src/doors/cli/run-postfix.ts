// `postlane postfix init` and `check`: instances of Postfix for Postlane alone, planned, shown and made only with
// --apply, and looked at afterwards. What exists is never changed, the system's own instance is never touched, and
// nothing is started or stopped here.

import { statSync } from "node:fs";
import { hostname as machineName } from "node:os";
import path from "node:path";
import { addressProblem } from "../../mail/address.ts";
import { findAccount, nameOfUser } from "../../mailers/find-account.ts";
import { applySteps, judgePlan, type PlanJudged } from "../../mailers/postfix/apply-plan.ts";
import { checkInstance, type InstanceChecked } from "../../mailers/postfix/check-instance.ts";
import type { Account, InstanceRole } from "../../mailers/postfix/instance-files.ts";
import {
  planInstances,
  RETRIES,
  startCommands,
  type InstancesPlan,
  type PlanSettings,
  type PlanStep,
} from "../../mailers/postfix/plan-instances.ts";
import { runCommand } from "../../mailers/run-command.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { harmless, number, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";

export interface PostfixInitOptions extends CommonOptions {
  readonly name?: readonly string[];
  readonly root: string;
  readonly firstPort: number;
  readonly user?: string;
  readonly hostname?: string;
  readonly relayhost?: string;
  readonly apply?: boolean;
}

export async function runPostfixInit(options: PostfixInitOptions): Promise<number> {
  const output = createOutput(options);
  const plan = planInstances(await planSettings(readConfig(options), options));
  const judged = await judgePlan(plan);
  if (judged.kind === "conflicts") throw standsInTheWay(judged);
  const wasApplied = options.apply === true && judged.kind === "ready";
  if (wasApplied) await apply(judged.steps);
  answerPlan(output, plan, judged, wasApplied);
  return EXIT_DONE;
}

// ---- what is wanted

async function planSettings(config: Config, options: PostfixInitOptions): Promise<PlanSettings> {
  if (config.returnsDomain === undefined) {
    throw new CommandFailure(
      "returns_domain_unset",
      "Set `returns: { domain: … }` in postlane.yaml first: an instance gives up within minutes, and without a returns domain its notices would go to your senders and not come home.",
    );
  }
  const instances = wantedInstances(config, options.name);
  const hostname = checkedHostname(options.hostname ?? machineName());
  return {
    root: checkedRoot(options.root),
    instances,
    firstPort: checkedPort(options.firstPort, instances.length),
    hostname,
    returnsDomain: config.returnsDomain,
    returnsUser: await returnsUser(config, options.user),
    mailOwner: await mailOwner(),
    ...(options.relayhost === undefined ? {} : { relayhost: checkedRelayhost(options.relayhost) }),
  };
}

const INSTANCE_NAME = /^[a-z][a-z0-9_-]{0,31}$/;

/** In an order that a further lane does not change: the ports follow it. */
function wantedInstances(config: Config, names: readonly string[] | undefined): PlanSettings["instances"] {
  if (config.lanes[RETRIES] !== undefined) {
    throw new CommandFailure("name_taken", `A lane is called "${RETRIES}", as the instance for retries is; rename it.`);
  }
  const further = Object.keys(config.lanes).filter((name) => name !== "transactional" && name !== "bulk");
  const wanted = names ?? ["transactional", "bulk", RETRIES, ...further.toSorted()];
  const bad = wanted.find((name) => !INSTANCE_NAME.test(name));
  if (bad !== undefined) throw misused(`"${bad}" cannot be a name: use a-z, 0-9, _ and -, beginning with a letter.`);
  return [...new Set(wanted)].map((name) => ({ name, role: roleOf(name, config) }));
}

function roleOf(name: string, config: Config): InstanceRole {
  return name === RETRIES ? RETRIES : (config.lanes[name]?.priority ?? "bulk");
}

function checkedRoot(root: string): string {
  if (!/^\/[\w./-]{1,200}$/.test(root)) throw misused("--root is an absolute path of letters, digits and . _ - only.");
  const resolved = path.resolve(root);
  if (/^\/etc(?:\/|$)/.test(resolved)) throw misused("--root holds queues: it cannot be in /etc.");
  return resolved;
}

function checkedPort(firstPort: number, count: number): number {
  if (firstPort < 1024 || firstPort + count - 1 > 65_535) throw misused("--first-port is from 1024 to 65535.");
  return firstPort;
}

function checkedHostname(hostname: string): string {
  if (addressProblem(`postmaster@${hostname}`) === undefined) return hostname.toLowerCase();
  throw new CommandFailure(
    "no_hostname",
    `"${hostname}" is no full name, and other servers refuse who introduces himself so. Give --hostname with a name that resolves to this machine.`,
  );
}

function checkedRelayhost(relayhost: string): string {
  if (/^(?:\[[\w.:-]{1,253}\]|[\w.-]{1,253})(?::\d{1,5})?$/.test(relayhost)) return relayhost;
  throw misused(
    '--relayhost is a host as Postfix has it: "[relay.example.com]:587", without brackets to ask for its MX.',
  );
}

/** Who may empty the Maildir: whoever Postlane runs as, which is who its data belongs to. */
async function returnsUser({ dataDir }: Config, wanted: string | undefined): Promise<Account> {
  const uid = ownerOf(dataDir) ?? process.getuid?.() ?? 0;
  // virtual(8) delivers as nobody with root's rights; root's agent can empty anybody's Maildir.
  const name = wanted ?? (uid === 0 ? "postfix" : await nameOfUser(uid));
  const account = await findAccount(name);
  if (account === undefined) throw new CommandFailure("no_user", `There is no user "${name}"; give --user.`);
  if (account.uid === 0 || account.gid === 0) {
    throw misused("Notices cannot be delivered as root; give --user with the user whom Postlane runs as.");
  }
  return account;
}

function ownerOf(folder: string): number | undefined {
  return statSync(folder, { throwIfNoEntry: false })?.uid;
}

async function mailOwner(): Promise<Account> {
  const { stdout } = await runCommand("postconf", ["-dh", "mail_owner"]);
  const account = await findAccount(stdout.trim() === "" ? "postfix" : stdout.trim());
  if (account !== undefined) return account;
  throw new CommandFailure("no_postfix", "Postfix is not installed (`apt-get install postfix`, any configuration).");
}

// ---- doing it

function standsInTheWay({ conflicts }: Extract<PlanJudged, { readonly kind: "conflicts" }>): CommandFailure {
  const lines = conflicts.slice(0, CONFLICTS_TOLD).map(({ path: at, problem }) => `  ${harmless(at)} ${problem}`);
  return new CommandFailure(
    "stands_in_the_way",
    `Nothing was done, for what exists is never changed:\n${lines.join("\n")}\nChoose another --root or --name, or remove it yourself.`,
  );
}

const CONFLICTS_TOLD = 10;

async function apply(steps: readonly PlanStep[]): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new CommandFailure("needs_root", "Only root can make folders that belong to Postfix: run it with sudo.");
  }
  await applySteps(steps);
}

// ---- saying it

function answerPlan(output: Output, plan: InstancesPlan, judged: PlanJudged, wasApplied: boolean): void {
  const steps = judged.kind === "ready" ? judged.steps : [];
  output.answer({
    state: judged.kind === "nothing_to_do" ? "nothing_to_do" : wasApplied ? "applied" : "planned",
    instances: plan.instances.map((instance) => ({
      name: instance.name,
      role: instance.role,
      port: instance.port,
      config_dir: instance.configDir,
      queue_dir: instance.queueDir,
      log_file: instance.logFile,
      maildir: instance.maildir,
    })),
    steps: steps.map(({ kind, path: at, owner, mode }) => ({
      kind,
      path: at,
      owner: owner.name,
      mode: mode.toString(8),
    })),
    start: startCommands(plan),
    yaml: plan.yaml,
  });
  for (const line of planLines(plan, steps, judged.kind, wasApplied)) output.print(line);
}

function planLines(
  plan: InstancesPlan,
  steps: readonly PlanStep[],
  kind: PlanJudged["kind"],
  wasApplied: boolean,
): readonly string[] {
  return [
    ...printTable(
      [text("instance"), number("port"), text("configuration"), text("notices into"), text("owned by")],
      plan.instances.map((instance) => [
        instance.name,
        String(instance.port),
        instance.configDir,
        instance.maildir,
        instance.returnsUser.name,
      ]),
    ),
    "",
    ...(kind === "nothing_to_do" ? ["Nothing to do: all of it is there as planned."] : stepLines(steps, wasApplied)),
    "",
    "To start them:",
    ...startCommands(plan).map((command) => `  ${command}`),
    "",
    "For postlane.yaml:",
    ...plan.yaml.trimEnd().split("\n"),
  ];
}

function stepLines(steps: readonly PlanStep[], wasApplied: boolean): readonly string[] {
  const rows = steps.map(({ kind, path: at, owner, mode }) => [kind, at, owner.name, mode.toString(8)]);
  return [
    ...printTable([text(wasApplied ? "made" : "to make"), text("path"), text("owner"), text("mode")], rows),
    "",
    wasApplied
      ? "Done. Nothing that existed was changed."
      : "Nothing is done yet: run it again with --apply. What exists is never changed.",
  ];
}

// ---- check

export interface PostfixCheckOptions extends CommonOptions {
  readonly configDir?: readonly string[];
}

export async function runPostfixCheck(options: PostfixCheckOptions): Promise<number> {
  const output = createOutput(options);
  const config = readConfig(options);
  const checked: InstanceChecked[] = [];
  for (const configDir of options.configDir?.map((dir) => path.resolve(dir)) ?? configuredInstances(config)) {
    const ports = { clock: systemClock, uid: process.getuid?.() ?? -1 };
    checked.push(await checkInstance(configDir, config.returnsDomain, ports));
  }
  output.answer({ instances: checked.map(checkedForPrograms) });
  for (const line of checked.flatMap(checkLines)) output.print(line);
  return checked.some(({ findings }) => findings.some(({ level }) => level === "wrong")) ? EXIT_FAILED : EXIT_DONE;
}

function configuredInstances(config: Config): readonly string[] {
  const dirs = Object.values(config.outlets).flatMap((outlet) =>
    outlet.type === "smtp" && outlet.gauge?.type === "postfix" && !outlet.gauge.isRemote
      ? [outlet.gauge.configDir]
      : [],
  );
  if (dirs.length > 0) return [...new Set(dirs)];
  throw new CommandFailure(
    "no_instances",
    "No outlet of this machine has `gauge: { type: postfix }`; name an instance by --config-dir.",
  );
}

function checkedForPrograms({ configDir, isOurs, isRunning, findings }: InstanceChecked): object {
  return { config_dir: configDir, is_ours: isOurs, is_running: isRunning ?? null, findings };
}

function checkLines({ configDir, isRunning, findings }: InstanceChecked): readonly string[] {
  const life = isRunning === undefined ? "not known whether it runs" : isRunning ? "running" : "not running";
  const isRight = findings.every(({ level }) => level !== "wrong");
  return [
    `${configDir}: ${isRight ? "all right" : "something is wrong"}, ${life}`,
    ...findings.flatMap(({ level, message, remedy }) => [
      `  ${level}: ${harmless(message)}`,
      `    what to do: ${harmless(remedy)}`,
    ]),
  ];
}
