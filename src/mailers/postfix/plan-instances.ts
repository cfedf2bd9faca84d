// What `postlane postfix init` is going to do, as data: folders and files with owner, mode and content, in the order in
// which they are made. Pure: the same settings give the same plan, so a second run sees that there is nothing to do.
// main.cf comes last of each instance: while it is missing, nothing takes the folder for an instance.

import { renderMainCf, renderMasterCf, type Account, type Instance, type InstanceRole } from "./instance-files.ts";

export interface PlanSettings {
  readonly root: string;
  readonly instances: readonly { readonly name: string; readonly role: InstanceRole }[];
  /** The first instance listens here, each further one on the next. */
  readonly firstPort: number;
  readonly hostname: string;
  readonly returnsDomain: string;
  readonly returnsUser: Account;
  /** Whom Postfix's daemons run as (`mail_owner`). */
  readonly mailOwner: Account;
  readonly relayhost?: string;
}

export type PlanStep =
  | { readonly kind: "folder"; readonly path: string; readonly owner: Account; readonly mode: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly owner: Account;
      readonly mode: number;
      readonly content: string;
    };

export interface InstancesPlan {
  readonly instances: readonly Instance[];
  readonly steps: readonly PlanStep[];
  /** For postlane.yaml. */
  readonly yaml: string;
}

const ROOT: Account = { name: "root", uid: 0, gid: 0 };
/** The retries instance's name: every other outlet's `retry_outlet`. */
export const RETRIES = "retries";

export function planInstances(settings: PlanSettings): InstancesPlan {
  const instances = settings.instances.map((wanted, index) => placeInstance(settings, wanted, index));
  const steps: readonly PlanStep[] = [
    folder(settings.root, ROOT, 0o755),
    ...instances.flatMap((instance) => stepsOf(instance, settings.mailOwner)),
  ];
  return { instances, steps, yaml: renderYaml(instances) };
}

function placeInstance(
  settings: PlanSettings,
  { name, role }: PlanSettings["instances"][number],
  index: number,
): Instance {
  const { root, firstPort, hostname, returnsDomain, returnsUser, relayhost } = settings;
  const folderOf = (part: string): string => `${root}/${name}/${part}`;
  return {
    name,
    role,
    root,
    hostname,
    returnsDomain,
    returnsUser,
    port: firstPort + index,
    configDir: folderOf("config"),
    queueDir: folderOf("queue"),
    dataDir: folderOf("data"),
    logFile: folderOf("log/maillog"),
    maildir: folderOf("returns"),
    ...(relayhost === undefined ? {} : { relayhost }),
  };
}

function stepsOf(instance: Instance, mailOwner: Account): readonly PlanStep[] {
  const { root, name, configDir, queueDir, dataDir, maildir, returnsUser } = instance;
  return [
    folder(`${root}/${name}`, ROOT, 0o755),
    folder(configDir, ROOT, 0o755),
    folder(queueDir, ROOT, 0o755),
    folder(dataDir, mailOwner, 0o700),
    folder(`${root}/${name}/log`, ROOT, 0o755),
    ...[maildir, `${maildir}/tmp`, `${maildir}/new`, `${maildir}/cur`].map((path) => folder(path, returnsUser, 0o700)),
    file(`${configDir}/master.cf`, renderMasterCf(instance)),
    file(`${configDir}/main.cf`, renderMainCf(instance)),
  ];
}

const folder = (path: string, owner: Account, mode: number): PlanStep => ({ kind: "folder", path, owner, mode });

const file = (path: string, content: string): PlanStep => ({ kind: "file", path, owner: ROOT, mode: 0o644, content });

function renderYaml(instances: readonly Instance[]): string {
  const hasRetries = instances.some(({ name }) => name === RETRIES);
  const lanes = instances.filter(({ role }) => role !== "retries");
  return [
    "lanes:",
    ...lanes.map(({ name }) => `  ${name}: { outlets: [${name}] }`),
    "outlets:",
    ...instances.flatMap(({ name, role, port, configDir }) => [
      `  ${name}:`,
      "    type: smtp",
      `    hosts: ["127.0.0.1:${port}"]`,
      ...(hasRetries && role !== "retries" ? [`    retry_outlet: ${RETRIES}`] : []),
      `    gauge: { type: postfix, config_dir: ${JSON.stringify(configDir)} }`,
    ]),
    "",
  ].join("\n");
}

/** Shown, never run: starting and stopping is the operator's. */
export function startCommands({ instances }: InstancesPlan): readonly string[] {
  return instances.map(({ configDir }) => `postfix -c ${configDir} start`);
}
