// User and group numbers of an account by its name, asked of `id`, which knows accounts that are in no file, too.

import type { Account } from "./postfix/instance-files.ts";
import { runCommand } from "./run-command.ts";

/** Undefined when there is no such user. */
export async function findAccount(name: string): Promise<Account | undefined> {
  if (!/^[A-Za-z_][\w.-]{0,63}\$?$/.test(name)) return undefined;
  const [uid, gid] = [await askId("-u", name), await askId("-g", name)];
  return uid === undefined || gid === undefined ? undefined : { name, uid, gid };
}

/** The name behind a number; the number itself where it has none. */
export async function nameOfUser(uid: number): Promise<string> {
  return (await run(["-nu", String(uid)])) ?? String(uid);
}

async function askId(flag: "-u" | "-g", name: string): Promise<number | undefined> {
  const answer = await run([flag, name]);
  return answer === undefined || !/^\d{1,10}$/.test(answer) ? undefined : Number(answer);
}

async function run(words: readonly string[]): Promise<string | undefined> {
  const { code, stdout } = await runCommand("id", words);
  return code === 0 ? stdout.trim() : undefined;
}
