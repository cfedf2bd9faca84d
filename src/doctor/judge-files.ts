// What owners, modes, room and certificates of our files mean. Pure.

import type { Config } from "../platform/config.ts";
import { finding, foundIf, type Finding } from "./finding.ts";
import type { DataDirFacts, FileFacts } from "./file-facts.ts";

export interface FileNeeds {
  readonly dataDir: string;
  readonly uid: number;
  readonly freeDiskBytesMin: Config["queue"]["freeDiskBytesMin"];
  readonly nowMs: number;
}

export function judgeFiles(facts: FileFacts, needs: FileNeeds): readonly Finding[] {
  return [
    ...judgeDataDir(facts.dataDir, needs),
    ...facts.readableSecrets.map((file) => finding("secret_readable", `everybody may read ${file}`, { file })),
    ...judgeCertificate(facts.certificate, needs.nowMs),
  ];
}

function judgeDataDir(facts: DataDirFacts, needs: FileNeeds): readonly Finding[] {
  const { dataDir, uid } = needs;
  if (facts.kind !== "there") {
    const isMissing = facts.kind === "missing";
    const found = isMissing ? `there is no ${dataDir}` : `user ${uid} may not read ${dataDir}`;
    return [finding(isMissing ? "data_dir_missing" : "data_dir_unreadable", found)];
  }
  const { owner, mode } = facts;
  return [
    // Root may look after the service of any user.
    ...foundIf(uid !== 0 && uid >= 0 && owner !== uid, () =>
      finding("data_dir_foreign", `${dataDir} belongs to user ${owner}, and this is user ${uid}`, { owner, uid }),
    ),
    ...foundIf((mode & 0o007) !== 0, () =>
      finding("data_dir_open", `${dataDir} has mode ${mode.toString(8)}`, { mode: mode.toString(8) }),
    ),
    ...judgeFileSystem(facts, dataDir),
    ...judgeRoom(facts, needs),
  ];
}

type Present = Extract<DataDirFacts, { readonly kind: "there" }>;

const MEMORY = /^(?:tmpfs|ramfs)$/;
const REMOTE = /^(?:nfs\d?|cifs|smb3|9p|virtiofs|ceph|glusterfs|fuse\.sshfs)$/;

function judgeFileSystem({ fileSystem = "" }: Present, dataDir: string): readonly Finding[] {
  return [
    ...foundIf(MEMORY.test(fileSystem), () => finding("data_dir_not_disk", `${dataDir} lies on ${fileSystem}`)),
    ...foundIf(REMOTE.test(fileSystem), () => finding("data_dir_remote", `${dataDir} lies on ${fileSystem}`)),
  ];
}

/** Of the whole: what root keeps for itself by default. */
const FREE_SHARE_MIN = 0.05;
const FREE_FILES_MIN = 10_000;

function judgeRoom(facts: Present, { dataDir, freeDiskBytesMin: least }: FileNeeds): readonly Finding[] {
  const { freeBytes: free, allBytes: all, freeFiles, allFiles } = facts;
  const found = `${Math.round(free / 1e6)} MB of ${Math.round(all / 1e6)} MB are free on the disk of ${dataDir}`;
  const figures = { free_bytes: free, all_bytes: all, min_free_disk_bytes: least };
  return [
    ...(free < least
      ? [finding("disk_full", found, figures)]
      : foundIf(free < all * FREE_SHARE_MIN, () => finding("disk_filling", found, figures))),
    // Some file systems (btrfs) have no number of files.
    ...foundIf(allFiles > 0 && freeFiles < FREE_FILES_MIN, () =>
      finding("inodes_few", `${freeFiles} more files can be made on the disk of ${dataDir}`, { free_files: freeFiles }),
    ),
  ];
}

const DAY_MS = 86_400_000;
const EXPIRES_DAYS_MIN = 14;

function judgeCertificate(certificate: FileFacts["certificate"], nowMs: number): readonly Finding[] {
  if (certificate === undefined) return [];
  if (certificate.kind === "unreadable") return [finding("own_certificate_unreadable", certificate.said)];
  const { validToMs, isPair } = certificate;
  const days = Math.floor((validToMs - nowMs) / DAY_MS);
  const until = `the SMTP door's certificate is valid until ${new Date(validToMs).toISOString()}`;
  return [
    ...foundIf(!isPair, () => finding("own_key_mismatch", "tls.key_file is not the key of tls.cert_file")),
    ...foundIf(validToMs <= nowMs, () => finding("own_certificate_expired", until)),
    ...foundIf(validToMs > nowMs && days < EXPIRES_DAYS_MIN, () => finding("own_certificate_expires", until, { days })),
  ];
}
