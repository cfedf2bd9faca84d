// What `postlane service install` has to do on this machine, as data: it looks at what is there and answers with the steps
// that are missing, or with what stands in the way. Changes nothing. A second look after the steps finds none.

import { lstat, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { findAccount } from "../mailers/find-account.ts";
import type { Account } from "../mailers/postfix/instance-files.ts";
import { serviceUnits, STATE_ROOT, UNIT_MARK, type ServiceFacts } from "./service-unit.ts";
import { orMissing } from "../platform/or-missing.ts";

export type ServiceStep =
  | { readonly kind: "user"; readonly name: string; readonly home: string }
  /** Root may write, the service's group may read. */
  | { readonly kind: "config_file"; readonly path: string }
  | { readonly kind: "data_folder"; readonly path: string }
  /** All that is in it becomes the service's. */
  | { readonly kind: "data_owner"; readonly path: string }
  | { readonly kind: "unit"; readonly path: string; readonly text: string };

export interface Obstacle {
  readonly problem: string;
  readonly remedy: string;
}

export interface ServicePlan {
  readonly steps: readonly ServiceStep[];
  readonly obstacles: readonly Obstacle[];
}

export const CONFIG_FILE_MODE = 0o640;
export const DATA_FOLDER_MODE = 0o750;

export async function planService(facts: ServiceFacts, unitFolder: string): Promise<ServicePlan> {
  const account = await findAccount(facts.user);
  const parts: readonly ServicePlan[] = [
    planUser(facts, account),
    await planConfig(facts, account),
    await planData(facts, account),
    ...(await Promise.all(serviceUnits(facts).map(({ name, text }) => planUnit(path.join(unitFolder, name), text)))),
  ];
  const obstacles = [...(await programObstacles(facts)), ...parts.flatMap((part) => part.obstacles)];
  return { steps: parts.flatMap((part) => part.steps), obstacles };
}

const NOTHING: ServicePlan = { steps: [], obstacles: [] };
const todo = (...steps: readonly ServiceStep[]): ServicePlan => ({ steps, obstacles: [] });
const blocked = (problem: string, remedy: string): ServicePlan => ({ steps: [], obstacles: [{ problem, remedy }] });

function planUser({ user, dataDir }: ServiceFacts, account: Account | undefined): ServicePlan {
  if (account === undefined) return todo({ kind: "user", name: user, home: dataDir });
  if (account.uid !== 0) return NOTHING;
  return blocked(`${user} is root`, "Name a user without rights by --user.");
}

/** A folder of its own, since every file in it becomes readable for the service, and for nobody else. */
async function planConfig({ configFile }: ServiceFacts, account: Account | undefined): Promise<ServicePlan> {
  const folder = path.dirname(configFile);
  if (!/^\/etc\/[\w.-]+\/[\w.-]+$/.test(configFile)) {
    return blocked(
      `${configFile} is not in a folder of its own below /etc`,
      "Put it into one, such as /etc/postlane/postlane.yaml, and name it by --config.",
    );
  }
  if ((await orMissing(stat(configFile)))?.isFile() !== true) {
    return blocked(
      `there is no configuration ${configFile}`,
      `Make one: postlane init --config ${configFile} --data-dir ${STATE_ROOT}postlane`,
    );
  }
  if (((await stat(folder)).mode & 0o005) !== 0o005) {
    return blocked(
      `${folder} cannot be entered by everybody`,
      `Passwords in it are protected one by one: chmod 755 ${folder}`,
    );
  }
  const files = (await readdir(folder, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== SENDMAIL_SETTINGS)
    .map(({ name }) => path.join(folder, name));
  const areRight = await Promise.all(files.map((file) => isReadableForService(file, account)));
  return todo(
    ...files
      .filter((_, index) => areRight[index] !== true)
      .map((file) => ({ kind: "config_file", path: file }) as const),
  );
}

/** Whoever sends by `sendmail` must be able to read it. */
const SENDMAIL_SETTINGS = "sendmail.json";

async function isReadableForService(file: string, account: Account | undefined): Promise<boolean> {
  const { uid, gid, mode } = await lstat(file);
  return uid === 0 && gid === account?.gid && (mode & 0o7777) === CONFIG_FILE_MODE;
}

async function planData({ dataDir }: ServiceFacts, account: Account | undefined): Promise<ServicePlan> {
  if (!dataDir.startsWith(STATE_ROOT) || !/^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/.test(dataDir.slice(STATE_ROOT.length))) {
    return blocked(
      `the data directory is ${dataDir}`,
      `A service keeps its data below ${STATE_ROOT}: set data_dir: ${STATE_ROOT}postlane, and move what is there already.`,
    );
  }
  const found = await orMissing(lstat(dataDir));
  if (found === undefined) return todo({ kind: "data_folder", path: dataDir });
  if (!found.isDirectory()) return blocked(`${dataDir} is no folder`, "Move it away, or choose another data_dir.");
  const database = await orMissing(lstat(path.join(dataDir, "postgres")));
  if (database?.isSymbolicLink() === true) {
    return blocked(
      `the embedded database of ${dataDir} lies elsewhere`,
      `Stop Postlane, move the folder that ${dataDir}/postgres points to into its place, and run this again.`,
    );
  }
  const isGiven = [found, database].every((one) => one === undefined || one.uid === account?.uid);
  return isGiven ? NOTHING : todo({ kind: "data_owner", path: dataDir });
}

async function planUnit(unitPath: string, text: string): Promise<ServicePlan> {
  const found = await orMissing(readFile(unitPath, "utf8"));
  if (found === text) return NOTHING;
  if (found === undefined || found.startsWith(`${UNIT_MARK}\n`)) return todo({ kind: "unit", path: unitPath, text });
  return blocked(
    `${unitPath} was not made by this command`,
    "What it says may be somebody's work: move it away, and run this again.",
  );
}

/** What `ProtectHome` and `PrivateTmp` hide from the service. */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)\//;

/** The service's user must be able to run this very Node with this very installation. */
async function programObstacles({ nodePath, mainPath }: ServiceFacts): Promise<readonly Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const [what, at] of [["Node", nodePath] as const, ["Postlane", mainPath] as const]) {
    const problem = HIDDEN.test(at) ? "a service does not see home and temporary folders" : await closedTo(at);
    if (problem !== undefined) obstacles.push({ problem: `${what} is ${at}, and ${problem}`, remedy: REMEDIES[what] });
  }
  return obstacles;
}

const REMEDIES = {
  Node: "Use a Node that everybody may run, such as that of the system's packages, and start this command with it.",
  Postlane: "Install it where everybody may read it, such as /opt/postlane or by `npm install --global`, and run that.",
} as const;

/** By the mode bits of others: the user may not be there yet. */
async function closedTo(file: string): Promise<string | undefined> {
  for (let at = path.dirname(file); ; at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return `${at} lets others not pass`;
    if (at === path.dirname(at)) break;
  }
  return ((await stat(file)).mode & 0o004) === 0 ? "others may not read it" : undefined;
}
