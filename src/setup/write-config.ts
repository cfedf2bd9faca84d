// Writes the first configuration, and the password that it names, each by a draft beside its place that is renamed into it:
// nobody ever sees half a file, and what is there already is left alone unless it may be replaced. The draft is read as
// Postlane will read it, so that what is written is valid.

import { chmod, link, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { loadConfig, type Config } from "../platform/config.ts";

export interface FileToWrite {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

export type FileWritten = { readonly kind: "written" } | { readonly kind: "exists"; readonly path: string };

/** `mayReplace`: what is there already. Throws a ConfigError when the draft is not valid. */
export async function writeConfig(
  file: FileToWrite,
  mayReplace: boolean,
): Promise<FileWritten & { readonly config?: Config }> {
  let config: Config | undefined;
  const written = await writeWhole(file, mayReplace, (draft) => {
    // Of the file alone: a variable of this shell must not make up for what it lacks.
    config = loadConfig({ cwd: path.dirname(file.path), file: draft, env: {} });
  });
  return config === undefined ? written : { ...written, config };
}

export async function writePassword(file: FileToWrite, mayReplace: boolean): Promise<FileWritten> {
  return await writeWhole(file, mayReplace, () => {});
}

async function writeWhole(
  { path: at, content, mode }: FileToWrite,
  mayReplace: boolean,
  check: (draft: string) => void,
): Promise<FileWritten> {
  const draft = path.join(path.dirname(at), `.${path.basename(at)}.${process.pid}`);
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    check(draft);
    await chmod(draft, mode);
    return await intoPlace(draft, at, mayReplace);
  } finally {
    await rm(draft, { force: true });
  }
}

/** A link fails where something is, a rename would replace it. */
async function intoPlace(draft: string, at: string, mayReplace: boolean): Promise<FileWritten> {
  if (mayReplace) {
    await rename(draft, at);
    return { kind: "written" };
  }
  try {
    await link(draft, at);
    return { kind: "written" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return { kind: "exists", path: at };
    throw error;
  }
}
