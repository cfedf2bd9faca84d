// A body that is too large for memory, written to a file of this front in `DATA_DIR/uploads` as it comes, and named after its
// own octets: what comes again has the same name. Whoever asks for one removes it; what a killed front has left there, the
// next one removes.

import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { processStartOf } from "../../platform/process-identity.ts";
import { Problem } from "./problem.ts";

export interface UploadFile {
  readonly file: string;
  remove(): Promise<void>;
}

/** Throws when more comes, or less than was announced; then nothing is left of it. */
export async function receiveFile(body: Readable, dataDir: string, bytesMax: number): Promise<UploadFile> {
  const folder = path.join(uploadsOf(dataDir), `${process.pid}-${processStartOf(process.pid)}-${randomUUID()}`);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = path.join(folder, "draft");
    const digest = await writeDraft(body, draft, bytesMax);
    const file = path.join(folder, digest);
    await rename(draft, file);
    return { file, remove };
  } catch (error) {
    await remove();
    throw isDiskFull(error) ? diskFull() : error;
  }
}

/** Of fronts that are gone. */
export function removeLeftUploads(dataDir: string): void {
  const uploads = uploadsOf(dataDir);
  mkdirSync(uploads, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(uploads)) {
    const [, pid, start] = /^(\d+)-(\w+)-/.exec(name) ?? [];
    if (pid !== undefined && processStartOf(Number(pid)) === start) continue;
    rmSync(path.join(uploads, name), { recursive: true, force: true });
  }
}

function uploadsOf(dataDir: string): string {
  return path.join(dataDir, "uploads");
}

/** Answers what its octets are called. */
async function writeDraft(body: Readable, draft: string, bytesMax: number): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(draft, "wx", 0o600);
  let bytes = 0;
  try {
    for await (const chunk of chunksOf(body)) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw tooLarge(bytesMax);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return hash.digest("hex").slice(0, DIGEST_CHARS);
}

const DIGEST_CHARS = 16;

/** The request is not destroyed when nobody reads on: it wants an answer. */
async function* chunksOf(body: Readable): AsyncGenerator<Buffer> {
  try {
    yield* body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new Problem("bad_request", "the body ended before it was whole", {
      hint: "Nothing of it was taken. Send it again.",
      cause,
    });
  }
}

export function tooLarge(bytesMax: number): Problem {
  return new Problem("body_too_large", `the body has more than ${bytesMax.toLocaleString("en")} octets`, {
    hint: "Nothing of it was taken. Send it in parts, each with the header row.",
  });
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}

function diskFull(): Problem {
  return new Problem("busy", "the disk has no room for the body", { hint: "Make room on it, and send it again." });
}
