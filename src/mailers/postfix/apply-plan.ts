// Holds a plan against the machine, and carries it out. What exists is never changed, whatever it is: if it is as
// planned it is left out, and if it is not, that is a conflict and nothing at all is done. Folders are made and files
// are written only where nothing was, also when something appears between the look and the step (`wx`, mkdir).

import { chmod, chown, lstat, mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { InstancesPlan, PlanStep } from "./plan-instances.ts";
import { orMissing } from "../../platform/or-missing.ts";

export interface Conflict {
  readonly path: string;
  readonly problem: string;
}

export type PlanJudged =
  | { readonly kind: "nothing_to_do" }
  | { readonly kind: "conflicts"; readonly conflicts: readonly Conflict[] }
  | { readonly kind: "ready"; readonly steps: readonly PlanStep[] };

export async function judgePlan(plan: InstancesPlan): Promise<PlanJudged> {
  const judged = await Promise.all(plan.steps.map((step) => judgeStep(step, plan)));
  const conflicts = [...(await ancestorConflicts(plan.steps[0]!.path)), ...judged.flatMap(({ problems }) => problems)];
  if (conflicts.length > 0) return { kind: "conflicts", conflicts };
  const steps = plan.steps.filter((_, index) => judged[index]!.isMissing);
  return steps.length === 0 ? { kind: "nothing_to_do" } : { kind: "ready", steps };
}

/** As root. Stops at the first step that fails; running it again goes on from there. */
export async function applySteps(steps: readonly PlanStep[]): Promise<void> {
  for (const step of steps) {
    if (step.kind === "folder") await makeFolder(step);
    else await writeNewFile(step);
  }
}

interface StepJudged {
  readonly isMissing: boolean;
  readonly problems: readonly Conflict[];
}

const MISSING: StepJudged = { isMissing: true, problems: [] };

async function judgeStep(step: PlanStep, plan: InstancesPlan): Promise<StepJudged> {
  const found = await orMissing(lstat(step.path));
  if (found === undefined) return MISSING;
  const { uid, gid, mode } = found;
  const isRightKind = step.kind === "folder" ? found.isDirectory() : found.isFile();
  if (!isRightKind) return conflict(step, `exists and is no ${step.kind}`);
  const isOwned = uid === step.owner.uid && gid === step.owner.gid && (mode & 0o7777) === step.mode;
  if (!isOwned) {
    const is = `${uid}:${gid} with mode ${(mode & 0o7777).toString(8)}`;
    return conflict(step, `belongs to ${is}, not to ${step.owner.name} with mode ${step.mode.toString(8)}`);
  }
  if (step.kind === "folder") return judgeFolder(step, plan);
  const isSame = (await readFile(step.path, "utf8")) === step.content;
  return isSame ? { isMissing: false, problems: [] } : conflict(step, "exists with other content");
}

const conflict = (step: PlanStep, problem: string): StepJudged => ({
  isMissing: false,
  problems: [{ path: step.path, problem }],
});

/** A folder with something in it is somebody else's, unless the instance that it belongs to is there already. */
async function judgeFolder(step: PlanStep, plan: InstancesPlan): Promise<StepJudged> {
  const instance = plan.instances.find(({ configDir }) => step.path.startsWith(`${path.dirname(configDir)}/`));
  if (instance === undefined) return { isMissing: false, problems: [] };
  const isMade = (await orMissing(lstat(path.join(instance.configDir, "main.cf")))) !== undefined;
  const planned = new Set(plan.steps.map((one) => one.path));
  const foreign = isMade ? [] : (await readdir(step.path)).filter((name) => !planned.has(path.join(step.path, name)));
  if (foreign.length === 0) return { isMissing: false, problems: [] };
  return conflict(
    step,
    `holds something already (${foreign[0]!.slice(0, 100)}), and there is no main.cf of ours for it`,
  );
}

/** Postfix's daemons are no root and must get through to their folders. */
async function ancestorConflicts(root: string): Promise<readonly Conflict[]> {
  const conflicts: Conflict[] = [];
  for (let at = path.dirname(root); ; at = path.dirname(at)) {
    const found = await orMissing(stat(at));
    if (found === undefined) conflicts.push({ path: at, problem: "does not exist; make it first" });
    else if (!found.isDirectory()) conflicts.push({ path: at, problem: "is no folder" });
    else if ((found.mode & 0o001) === 0) {
      conflicts.push({ path: at, problem: "lets Postfix's daemons not pass; choose a --root elsewhere" });
    }
    if (at === path.dirname(at)) return conflicts;
  }
}

async function makeFolder(step: PlanStep): Promise<void> {
  await mkdir(step.path, { mode: 0o700 });
  await chown(step.path, step.owner.uid, step.owner.gid);
  await chmod(step.path, step.mode);
}

async function writeNewFile(step: Extract<PlanStep, { readonly kind: "file" }>): Promise<void> {
  const handle = await open(step.path, "wx", 0o600);
  try {
    await handle.writeFile(step.content);
    await handle.chown(step.owner.uid, step.owner.gid);
    await handle.chmod(step.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
