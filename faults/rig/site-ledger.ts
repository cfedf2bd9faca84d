// What the site knows, on paper: a line before a submission is sent, and one when its answer has come. It stands with the
// sink's ledger, outside of the installation, so that nothing that happens to Postlane or to its disk takes it away.
//   sub <recipient>      handed over from now on
//   ack <recipient>      the COMMIT was confirmed
//   amb <recipient>      no answer came: whether it is accepted is not known
//   nak <recipient>      refused, or never sent

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { SiteKnowledge } from "./judge-run.ts";

export type SiteNote = "sub" | "ack" | "amb" | "nak";

export interface SiteLedger {
  note(kind: SiteNote, recipients: readonly string[]): void;
  close(): void;
}

export function openSiteLedger(file: string): SiteLedger {
  const descriptor = openSync(file, "a", 0o600);
  return {
    note(kind, recipients) {
      if (recipients.length > 0) writeSync(descriptor, recipients.map((to) => `${kind} ${to}\n`).join(""));
    },
    close: () => closeSync(descriptor),
  };
}

/** As the judge wants it: what was begun and never answered is as open as what was answered by a lost connection. */
export function readSiteLedger(file: string): ReadonlyMap<string, SiteKnowledge> {
  const site = new Map<string, SiteKnowledge>();
  for (const line of readFileSync(file, "latin1").split("\n")) {
    const [kind, to] = line.split(" ");
    if (to === undefined) continue;
    if (kind === "ack") site.set(to, "acknowledged");
    else if (kind === "nak") site.delete(to);
    else site.set(to, "ambiguous");
  }
  return site;
}
