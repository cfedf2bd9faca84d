// Why the embedded server of a data directory was not found ready: it does not run, its process is there and takes no
// sessions, or we may not look. Only looks.

import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { findPlace } from "../postgres/embedded-place.ts";
import { isPostmaster, readPidFile } from "../postgres/embedded-process.ts";
import { finding, type Finding } from "./finding.ts";

export async function explainAbsence(dataDir: string): Promise<Finding> {
  if (await isHidden(dataDir)) return finding("database_hidden", `${dataDir} is closed to this user`);
  const place = findPlace(dataDir);
  const pid = place === undefined ? undefined : readPidFile(place.data)?.pid;
  if (pid !== undefined && isPostmaster(pid, place!.data)) {
    return finding("database_silent", `the embedded server (pid ${pid}) is there, and takes no sessions`, { pid });
  }
  return finding("database_not_running", "the embedded database does not run");
}

async function isHidden(dataDir: string): Promise<boolean> {
  return await access(dataDir, constants.R_OK | constants.X_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "EACCES" || error.code === "EPERM",
  );
}
