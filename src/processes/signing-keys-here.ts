// The keys that a dispatcher signs with, from the configuration's files and the database. When one of them cannot be
// opened the dispatcher does not start, and says so: its mail waits, and no domain's mail goes out unsigned by mistake.

import type { Pool } from "pg";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { isReadableByOthers, readEncryptionKey } from "../senders/domains/encryption-key.ts";
import { KeyFileUnreadable, readKeyFiles } from "../senders/domains/key-files.ts";
import { DkimKeysLocked, openSigningKeys, type SigningKeysAtWork } from "../senders/domains/signing-keys.ts";
import { tellSupervisor } from "./supervision.ts";

export async function openSigningKeysHere({ dkim }: Config, pool: Pool, log: Log): Promise<SigningKeysAtWork> {
  const { encryptionKey: place } = dkim;
  if (place.kind === "file" && isReadableByOthers(place))
    log.warn("dkim_keys.readable_by_others", { file: place.file });
  try {
    const fileKeys = readKeyFiles(dkim.keys);
    const readKey = () => readEncryptionKey(place);
    return await openSigningKeys({ pool, clock: systemClock, log, readEncryptionKey: readKey, fileKeys });
  } catch (error) {
    if (error instanceof KeyFileUnreadable || error instanceof DkimKeysLocked) tellLocked(error, log);
    throw error;
  }
}

function tellLocked({ message }: Error, log: Log): void {
  log.error("dkim_keys.locked", { detail: message });
  tellSupervisor({ kind: "told", line: `ALARM: no mail is handed over, since it could not be signed: ${message}` });
}
