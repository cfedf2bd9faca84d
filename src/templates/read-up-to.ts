// A file up to a limit: what is longer is cut there, so that a caller who asks for one octet more than it takes can tell.
// Closes what it opens.

import { open } from "node:fs/promises";

export async function readUpTo(path: string, bytesMax: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: bytesMax - 1, autoClose: false }))
      chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}
