// The file of the fsync probe: one block in a folder on the same file system as the relay's spool. A relay's spool
// belongs to the relay, and the agent may only read there: so the first folder that is on that file system and lets us
// write is taken. The file stays named while it is used (btrfs syncs no file without a name) and goes at the end.

import { constants } from "node:fs";
import { open, unlink, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { foldersOnDiskOf } from "../platform/folder-on-disk.ts";
import type { ProbeFile } from "./fsync-probe.ts";

const BLOCK_BYTES = 4096;

/** Throws when none of the folders will do; its message says why. */
export async function openProbeFile(
  name: string,
  spool: string,
  folders: readonly string[],
): Promise<ProbeFile & { readonly path: string }> {
  for (const folder of await foldersOnDiskOf(spool, folders)) {
    const file = await openOwn(path.join(folder, name)).catch(() => undefined);
    if (file !== undefined) return file;
  }
  throw new Error(`on the disk of ${spool} there is no folder that the agent may write to`);
}

/** Made anew, so that nobody's link is followed in a folder that all may write to. */
async function openOwn(file: string): Promise<ProbeFile & { readonly path: string }> {
  await unlink(file).catch(() => {});
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  return probeFile(handle, file);
}

function probeFile(handle: FileHandle, file: string): ProbeFile & { readonly path: string } {
  const block = Buffer.alloc(BLOCK_BYTES);
  let count = 0;
  return {
    path: file,
    async write() {
      // Another content each time: no layer below may find that nothing has changed.
      block.writeUInt32LE((count = (count + 1) % 2 ** 32), 0);
      await handle.write(block, 0, BLOCK_BYTES, 0);
    },
    sync: () => handle.datasync(),
    async close() {
      await handle.close();
      await unlink(file).catch(() => {});
    },
  };
}
