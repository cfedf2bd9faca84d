// Brings home the mail of a Maildir: reads a batch, keeps it in the database, and only when that is committed deletes the
// files. A file that cannot be deleted is kept by its name, so it is not taken twice, and people are told. What is held
// in memory at a time is bounded, however many notices there are.

import { open, opendir, unlink } from "node:fs/promises";
import path from "node:path";
import type { AgentReturn } from "../returns/return-store.ts";

/** Of a larger mail the beginning: the report stands before the copy of the message. */
export const NOTICE_BYTES_MAX = 256 * 1024;
/** Of one transaction; at most 12 MB. */
const BATCH_FILES_MAX = 50;
const FAILED_MAX = 10_000;

export interface MaildirEnd {
  /** Files that were kept and are gone. */
  readonly emptied: number;
  readonly isMore: boolean;
  readonly problem?: string;
}

export interface MaildirEmptier {
  /** One batch. What `keep` throws leaves everything as it was. */
  emptySome(keep: (arrivals: readonly AgentReturn[]) => Promise<void>): Promise<MaildirEnd>;
}

export interface MaildirSettings {
  readonly outlet: string;
  readonly folder: string;
  /** The name by which the relay reports: `Reporting-MTA`. */
  readonly reportingMta: string;
}

export function createMaildirEmptier({ outlet, folder, reportingMta }: MaildirSettings): MaildirEmptier {
  /** Kept in the database, but still there. */
  const leftOver = new Set<string>();
  return {
    async emptySome(keep) {
      const names = await listSome(folder, leftOver);
      const arrivals: AgentReturn[] = [];
      const read: string[] = [];
      for (const name of names) {
        const raw = await readBegin(path.join(folder, name));
        if (raw === undefined) continue;
        const body = { reporting_mta: reportingMta, ...envelopeOf(raw) };
        arrivals.push({ outlet, source: "maildir", sourceKey: keyOf(name), body, raw });
        read.push(name);
      }
      if (arrivals.length > 0) await keep(arrivals);
      const problem = await removeAll(folder, read, leftOver);
      const isMore = names.length === BATCH_FILES_MAX;
      return { emptied: read.length, isMore, ...(problem === undefined ? {} : { problem }) };
    },
  };
}

/** Names with their folder: `new/1795…`, `cur/1795…:2,S`. In no order: each notice stands alone. */
async function listSome(folder: string, leftOver: ReadonlySet<string>): Promise<readonly string[]> {
  const names: string[] = [];
  for (const part of ["new", "cur"]) {
    const entries = await opendir(path.join(folder, part)).catch(undefinedIfMissing);
    if (entries === undefined) continue;
    for await (const entry of entries) {
      const name = `${part}/${entry.name}`;
      if (entry.name.startsWith(".") || !entry.isFile() || leftOver.has(name)) continue;
      names.push(name);
      if (names.length === BATCH_FILES_MAX) return names;
    }
  }
  return names;
}

/** Nothing was ever delivered there. */
function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

/** The name without flags, which change when a mail reader has looked at it. */
function keyOf(name: string): string {
  return path.basename(name).replace(/:2,[A-Za-z]*$/, "");
}

/** Undefined: somebody else has taken it meanwhile. */
async function readBegin(file: string): Promise<Buffer | undefined> {
  const handle = await open(file, "r").catch(undefinedIfMissing);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const raw = Buffer.alloc(Math.min(size, NOTICE_BYTES_MAX));
    const { bytesRead } = await handle.read(raw, 0, raw.length, 0);
    return raw.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** virtual(8) puts the envelope's recipient in front. */
export function envelopeOf(raw: Buffer): { readonly recipient?: string } {
  const head = raw.subarray(0, HEAD_BYTES_MAX).toString("latin1");
  const [, address] =
    /^(?:Delivered-To|X-Original-To): ?([^\r\n]{1,320})\r?$/im.exec(head.split(/\r?\n\r?\n/, 1)[0]!) ?? [];
  return address === undefined ? {} : { recipient: address.replaceAll(/\p{Cc}/gu, "").trim() };
}

const HEAD_BYTES_MAX = 16 * 1024;

async function removeAll(folder: string, names: readonly string[], leftOver: Set<string>): Promise<string | undefined> {
  let problem: string | undefined;
  for (const name of names) {
    try {
      await unlink(path.join(folder, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      problem = `failure notices in ${folder} were taken home and cannot be deleted: ${(error as Error).message}`;
      // They would be read again and again; what is forgotten here is known by its name in the database.
      if (leftOver.size >= FAILED_MAX) leftOver.clear();
      leftOver.add(name);
    }
  }
  return problem;
}
