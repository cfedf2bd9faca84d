// `postlane service install`: prints the units of systemd and what would be done, and does it with --apply. Starts nothing
// without --start. Says what it changed; run again, it finds nothing to do.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { findAccount } from "../../mailers/find-account.ts";
import { readInstance } from "../../mailers/postfix/read-instance.ts";
import { runCommand } from "../../mailers/run-command.ts";
import { loadConfig, type Config } from "../../platform/config.ts";
import { findEmbedded } from "../../postgres/embedded.ts";
import { applyService } from "../../setup/apply-service.ts";
import { planService, type ServicePlan, type ServiceStep } from "../../setup/plan-service.ts";
import { agentUnitOf, MAIN_UNIT, serviceUnits, STATE_ROOT, type ServiceFacts } from "../../setup/service-unit.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { harmless, printTable, text } from "./printing.ts";

export interface ServiceInstallOptions extends CommonOptions {
  readonly user: string;
  readonly apply?: boolean;
  readonly start?: boolean;
}

const CONFIG_FILE = "/etc/postlane/postlane.yaml";
const UNIT_FOLDER = "/etc/systemd/system";

export async function runServiceInstall(options: ServiceInstallOptions): Promise<number> {
  const output = createOutput(options);
  const isApplied = options.apply === true;
  if (options.start === true && !isApplied) throw misused("--start needs --apply.");
  refuseOtherSystems();
  const facts = await factsOf(options);
  const plan = await planService(facts, UNIT_FOLDER);
  if (isApplied) await apply(plan, facts);
  const started = options.start === true ? await start(plan, facts) : [];
  answer(output, { facts, plan, isApplied, started });
  return EXIT_DONE;
}

function refuseOtherSystems(): void {
  if (process.platform === "linux") return;
  throw new CommandFailure("no_systemd", "systemd is a thing of Linux; here, start `postlane up` by what there is.");
}

// ---- what is wanted

async function factsOf({ config: configFile = CONFIG_FILE, user }: ServiceInstallOptions): Promise<ServiceFacts> {
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) throw misused(`"${user}" cannot be the name of a user of the system.`);
  const file = path.resolve(configFile);
  // The service will see nothing of the environment that this command has.
  const config = existsSync(file) ? loadConfig({ cwd: "/", file, env: {} }) : undefined;
  return {
    nodePath: process.execPath,
    mainPath: realpathSync(path.join(import.meta.dirname, `main${path.extname(import.meta.filename)}`)),
    configFile: file,
    dataDir: config?.dataDir ?? `${STATE_ROOT}postlane`,
    user,
    ...(config?.sendmailSpool === undefined ? {} : { sendmailSpool: config.sendmailSpool }),
    ...(await agentsOf(config)),
  };
}

/** Only Postfix hides its queue; what a command of `gauge` may read is its own business. */
async function agentsOf(config: Config | undefined): Promise<Pick<ServiceFacts, "agentOutlets" | "agentWrites">> {
  const gauges = Object.values(config?.outlets ?? {}).flatMap((outlet) =>
    outlet.type === "smtp" && outlet.gauge?.type === "postfix" && !outlet.gauge.isRemote
      ? [{ name: outlet.name, configDir: outlet.gauge.configDir }]
      : [],
  );
  const reads = await Promise.all(gauges.map(({ configDir }) => readInstance(configDir)));
  const maildirs = reads.flatMap((read) => (read.kind === "instance" ? (read.facts.maildir ?? []) : []));
  return { agentOutlets: gauges.map(({ name }) => name), agentWrites: [...new Set(maildirs)] };
}

// ---- doing it

async function apply({ steps, obstacles }: ServicePlan, facts: ServiceFacts): Promise<void> {
  if (obstacles.length > 0) {
    const lines = obstacles.map(({ problem, remedy }) => `  ${harmless(problem)}. ${harmless(remedy)}`);
    throw new CommandFailure(
      "stands_in_the_way",
      `Nothing was done, for something stands in the way:\n${lines.join("\n")}`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new CommandFailure("needs_root", "Only root can make a user and a unit: run it with sudo.");
  }
  if (steps.some(({ kind }) => kind === "data_owner") && (await findEmbedded(facts.dataDir)) !== undefined) {
    throw new CommandFailure(
      "is_running",
      `Postlane runs on ${facts.dataDir} already, as another user. Stop it first (Ctrl-C, or SIGTERM to \`postlane up\`).`,
    );
  }
  const problem = await applyService(steps, facts.user);
  if (problem !== undefined) throw new CommandFailure("not_finished", `${harmless(problem)}. What was done stays.`);
  await tryAsUser(facts);
  if (isSystemdHere() && steps.some(({ kind }) => kind === "unit")) await systemctl("daemon-reload");
}

/** Mode bits of a few folders do not tell all: so the program is really run as that user. */
async function tryAsUser({ user, nodePath, mainPath }: ServiceFacts): Promise<void> {
  const { uid, gid } = (await findAccount(user))!;
  const child = spawn(nodePath, [mainPath, "up", "--help"], { uid, gid, cwd: "/", env: {}, stdio: "ignore" });
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  throw new CommandFailure(
    "not_readable",
    `The user ${user} cannot run ${mainPath}: something of the installation is not readable for others. ` +
      "`chmod -R go+rX` on its folder, then run this again.",
  );
}

/** As `sd_booted(3)` finds out. */
function isSystemdHere(): boolean {
  return existsSync("/run/systemd/system");
}

async function start({ steps }: ServicePlan, facts: ServiceFacts): Promise<readonly string[]> {
  if (!isSystemdHere()) {
    throw new CommandFailure("no_systemd", "Installed, but not started: systemd does not run here.");
  }
  const units = [MAIN_UNIT, ...facts.agentOutlets.map(agentUnitOf)];
  await systemctl("enable", ...units);
  // What runs already must run what is written now.
  await systemctl(steps.length > 0 ? "restart" : "start", ...units);
  return units;
}

async function systemctl(...words: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand("systemctl", words);
  if (code === 0) return;
  throw new CommandFailure("systemctl_failed", `systemctl ${words.join(" ")}: ${harmless(stderr.trim())}`);
}

// ---- saying it

interface Told {
  readonly facts: ServiceFacts;
  readonly plan: ServicePlan;
  readonly isApplied: boolean;
  readonly started: readonly string[];
}

function answer(output: Output, told: Told): void {
  const { facts, plan, isApplied, started } = told;
  output.answer({
    state: plan.steps.length === 0 && plan.obstacles.length === 0 ? "nothing_to_do" : isApplied ? "applied" : "planned",
    steps: plan.steps.map((step) => ({ kind: step.kind, what: subjectOf(step) })),
    obstacles: plan.obstacles,
    units: serviceUnits(facts).map(({ name, text: unit }) => ({ path: path.join(UNIT_FOLDER, name), text: unit })),
    is_systemd_running: isSystemdHere(),
    started,
  });
  for (const line of isApplied ? appliedLines(told) : plannedLines(told)) output.print(line);
}

function plannedLines({ facts, plan }: Told): readonly string[] {
  const obstacles = plan.obstacles.flatMap(({ problem, remedy }) => [`  ${problem}`, `    what to do: ${remedy}`]);
  return [
    ...serviceUnits(facts).flatMap(({ name, text: unit }) => [`# ${path.join(UNIT_FOLDER, name)}`, unit]),
    ...(plan.steps.length === 0 ? [] : [...stepTable("to do", plan.steps), ""]),
    ...(obstacles.length === 0 ? [] : ["In the way:", ...obstacles.map(harmless), ""]),
    plan.steps.length + obstacles.length === 0
      ? "Nothing to do: all of it is there."
      : "Nothing is done yet: run it again as root with --apply, and with --start to start it too.",
  ];
}

function appliedLines({ facts, plan, started }: Told): readonly string[] {
  const units = [MAIN_UNIT, ...facts.agentOutlets.map(agentUnitOf)].join(" ");
  return [
    ...(plan.steps.length === 0 ? ["Nothing to do: all of it was there."] : stepTable("done", plan.steps)),
    ...(started.length > 0
      ? ["", `Started, and at every boot: ${started.join(", ")}`, `Look at it: journalctl -u ${MAIN_UNIT} -f`]
      : ["", "To start it now and at every boot:", `  systemctl enable --now ${units}`]),
    ...(isSystemdHere() ? [] : ["systemd does not run here: the units are for when it does."]),
  ];
}

function stepTable(title: string, steps: readonly ServiceStep[]): readonly string[] {
  return printTable(
    [text(title), text("what"), text("")],
    steps.map((step) => [WORDS[step.kind][0], subjectOf(step), WORDS[step.kind][1]]),
  );
}

const subjectOf = (step: ServiceStep): string => (step.kind === "user" ? step.name : step.path);

const WORDS: Readonly<Record<ServiceStep["kind"], readonly [string, string]>> = {
  user: ["make user", "system account, no password, no shell"],
  config_file: ["let the service read", "root's, readable for its group, closed to others"],
  data_folder: ["make folder", "the service's"],
  data_owner: ["give away", "with all that is in it, to the service"],
  unit: ["write unit", ""],
};
