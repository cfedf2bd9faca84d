// Whether recipients are told where to unsubscribe, and why not.

import type { CampaignRow } from "../campaigns/campaign-store.ts";
import type { FindingCollector } from "./collect-findings.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import type { OpenedCopies } from "./open-copies.ts";

export function checkUnsubscribe(
  { lane, no_unsubscribe }: CampaignRow,
  { isBulk, list, mail }: Pick<OpenedCopies, "isBulk" | "list" | "mail">,
  { lanes, outlets }: PreflightSettings,
  findings: FindingCollector,
): void {
  if (no_unsubscribe !== null) return findings.add("unsubscribe_waived", no_unsubscribe);
  if (list?.url !== undefined || mail.ownListHeaders.hasUnsubscribe) return;
  if (!isBulk) return findings.add("unsubscribe_not_offered", `lane ${lane} is no bulk`);
  const staysHere = lanes[lane]?.outlets.every((name) => outlets[name]?.type === "capture") === true;
  const code = staysHere ? "unsubscribe_not_offered" : "unsubscribe_missing";
  findings.add(code, "public_url is not set");
}
