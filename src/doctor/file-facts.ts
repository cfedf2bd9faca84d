// What can be seen of the files that Postlane keeps and reads: owners, modes, room, certificates. Only reads, and never
// tells what is in a secret.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdir, readFile, stat, statfs } from "node:fs/promises";
import path from "node:path";
import type { Config } from "../platform/config.ts";
import { describeDevice } from "./disk-device.ts";

export interface FileFacts {
  readonly dataDir: DataDirFacts;
  /** Files with a secret in them that others may read. */
  readonly readableSecrets: readonly string[];
  /** Absent: the SMTP door has none. */
  readonly certificate?: CertificateFacts;
}

export type DataDirFacts =
  | { readonly kind: "missing" | "unreadable" }
  | {
      readonly kind: "there";
      readonly owner: number;
      readonly mode: number;
      readonly freeBytes: number;
      readonly allBytes: number;
      readonly freeFiles: number;
      readonly allFiles: number;
      readonly fileSystem?: string;
    };

type CertificateFacts =
  | { readonly kind: "unreadable"; readonly said: string }
  | { readonly kind: "read"; readonly validToMs: number; readonly isPair: boolean };

export async function readFiles(config: Config): Promise<FileFacts> {
  const certificate = await readCertificate(config);
  return {
    dataDir: await readDataDir(config.dataDir),
    readableSecrets: await findReadable(await secretFiles(config)),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

async function readDataDir(dataDir: string): Promise<DataDirFacts> {
  try {
    const { uid: owner, mode } = await stat(dataDir);
    await readdir(dataDir);
    const { bavail, blocks, bsize, ffree, files } = await statfs(dataDir);
    const { fileSystem } = await describeDevice(dataDir);
    return {
      kind: "there",
      owner,
      mode: mode & 0o777,
      freeBytes: bavail * bsize,
      allBytes: blocks * bsize,
      freeFiles: ffree,
      allFiles: files,
      ...(fileSystem === undefined ? {} : { fileSystem }),
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { kind: "missing" };
    if (code === "EACCES" || code === "EPERM") return { kind: "unreadable" };
    throw error;
  }
}

/** The configuration counts when a password stands in it. */
async function secretFiles({ file, outlets, databaseUrl, dkim, smtp, dataDir }: Config): Promise<readonly string[]> {
  const passwords = Object.values(outlets).flatMap((outlet) =>
    outlet.type === "smtp" && outlet.auth !== undefined ? [outlet.auth.password] : [],
  );
  const ofUrl = /:\/\/[^:/@]*:([^@]+)@/.exec(databaseUrl ?? "")?.[1];
  const text = file === undefined ? "" : await readFile(file, "utf8").catch(() => "");
  const isInConfig = [...passwords, ...(ofUrl === undefined ? [] : [ofUrl])].some((secret) => text.includes(secret));
  const { encryptionKey, keys } = dkim;
  return [
    ...(file !== undefined && isInConfig ? [file] : []),
    ...(encryptionKey.kind === "file" ? [encryptionKey.file] : []),
    ...keys.map((key) => key.file),
    ...(smtp.certificate === undefined ? [] : [smtp.certificate.keyFile]),
    path.join(dataDir, "secrets"),
  ];
}

/** What is not there, or in a folder that others cannot enter, is hidden from them. */
async function findReadable(files: readonly string[]): Promise<readonly string[]> {
  const checked = await Promise.all(files.map(async (file) => ((await isForOthers(file)) ? [file] : [])));
  return checked.flat();
}

async function isForOthers(file: string): Promise<boolean> {
  const status = await stat(file).catch(() => undefined);
  if (status === undefined || (status.mode & 0o004) === 0) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const above = await stat(folder).catch(() => undefined);
    if (above === undefined || (above.mode & 0o001) === 0) return false;
    if (folder === path.dirname(folder)) return true;
  }
}

async function readCertificate({ smtp }: Config): Promise<CertificateFacts | undefined> {
  if (smtp.certificate === undefined) return undefined;
  try {
    const certificate = new X509Certificate(await readFile(smtp.certificate.certFile));
    const key = createPrivateKey(await readFile(smtp.certificate.keyFile));
    return { kind: "read", validToMs: Date.parse(certificate.validTo), isPair: certificate.checkPrivateKey(key) };
  } catch (error) {
    return { kind: "unreadable", said: (error as Error).message };
  }
}
