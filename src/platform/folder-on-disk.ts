// A folder on a given disk that we may write to, to find out how that disk is: a relay's spool belongs to the relay, and
// must not be written to where another folder on the same file system will do.

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { tmpdir } from "node:os";

/** Those of `preferred`, the usual places for temporary files and `place` itself that lie on the disk of `place`. */
export async function foldersOnDiskOf(place: string, preferred: readonly string[]): Promise<readonly string[]> {
  const { dev } = await stat(place);
  const found: string[] = [];
  for (const folder of [...preferred, "/var/tmp", tmpdir(), place]) {
    const status = await stat(folder).catch(() => undefined);
    if (status?.dev !== dev || !status.isDirectory()) continue;
    if (await mayWrite(folder)) found.push(folder);
  }
  return found;
}

async function mayWrite(folder: string): Promise<boolean> {
  return await access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
