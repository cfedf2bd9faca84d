// Carries out the steps of `postlane service install`, as root. Each may be done again. A unit is written beside its place
// and renamed into it. Follows no symlink while it gives files away, and starts nothing.

import { chmod, lchown, lstat, mkdir, open, opendir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { findAccount } from "../mailers/find-account.ts";
import type { Account } from "../mailers/postfix/instance-files.ts";
import { runCommand } from "../mailers/run-command.ts";
import { CONFIG_FILE_MODE, DATA_FOLDER_MODE, type ServiceStep } from "./plan-service.ts";

/** Answers with why it stopped; undefined when all is done. */
export async function applyService(steps: readonly ServiceStep[], user: string): Promise<string | undefined> {
  for (const step of steps) {
    const problem = await applyStep(step, user);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

async function applyStep(step: ServiceStep, user: string): Promise<string | undefined> {
  if (step.kind === "user") return await makeUser(step.name, step.home);
  if (step.kind === "unit") return await writeUnit(step.path, step.text);
  const account = await findAccount(user);
  if (account === undefined) return `there is no user ${user}`;
  switch (step.kind) {
    case "config_file":
      await lchown(step.path, 0, account.gid);
      await chmod(step.path, CONFIG_FILE_MODE);
      return undefined;
    case "data_folder":
      await mkdir(step.path, { recursive: true, mode: 0o700 });
      return await giveFolder(step.path, account);
    case "data_owner":
      return await giveFolder(step.path, account);
  }
}

/** As systemd-sysusers would: no password, no shell, no home that is made. */
async function makeUser(name: string, home: string): Promise<string | undefined> {
  const words = ["--system", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin"];
  // The spool of `sendmail` may have needed the group before.
  const hasGroup = (await runCommand("getent", ["group", name])).code === 0;
  const group = hasGroup ? ["--gid", name] : ["--user-group"];
  const { code, stderr } = await runCommand("useradd", [...words, ...group, "--comment", "Postlane", name]);
  return code === 0 ? undefined : `useradd: ${stderr.trim()}`;
}

async function writeUnit(at: string, text: string): Promise<undefined> {
  const beside = `${at}.new`;
  await rm(beside, { force: true });
  const handle = await open(beside, "wx", 0o644);
  try {
    await handle.writeFile(text);
    await handle.chmod(0o644);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(beside, at);
}

async function giveFolder(folder: string, account: Account): Promise<string | undefined> {
  await dropProgramTrees(path.join(folder, "postgres"));
  const problem = await giveTree(folder, account);
  if (problem === undefined) await chmod(folder, DATA_FOLDER_MODE);
  return problem;
}

/**
 * The embedded server's programs are hard links into the installation: given away, the service could write to its own
 * programs. They are laid out anew at the next start, as copies.
 */
async function dropProgramTrees(home: string): Promise<void> {
  const names = await readdir(home).catch(() => []);
  for (const name of names.filter((one) => /^(?:bin|making)-/.test(one))) {
    await rm(path.join(home, name), { recursive: true, force: true });
  }
}

/** What has a second name somewhere else is not ours to give. */
async function giveTree(at: string, account: Account): Promise<string | undefined> {
  const found = await lstat(at);
  if (!found.isDirectory() && found.nlink > 1) {
    return `${at} has ${found.nlink} names (hard links), and giving it away would give all of them`;
  }
  await lchown(at, account.uid, account.gid);
  if (!found.isDirectory()) return undefined;
  for await (const { name } of await opendir(at)) {
    const problem = await giveTree(path.join(at, name), account);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
