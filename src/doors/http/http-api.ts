// What the routes of the API are given: the stations that they call, the configuration, and the limits.

import type { Pool } from "pg";
import type { CampaignId } from "../../mail/ids.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import type { Log } from "../../platform/log.ts";
import type { Keyring } from "../../senders/keyring.ts";
import type { BatchAcceptance } from "../../submission/accept-batch.ts";
import type { Acceptance } from "../../submission/accept-submission.ts";
import type { Subscriptions } from "../../subscriptions/confirm-subscription.ts";
import type { Unsubscriber } from "../../suppression/unsubscribe.ts";

export interface HttpApi {
  /** Undefined: the database was not there yet. */
  readonly entry: () => HttpEntry | undefined;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

export interface HttpEntry {
  readonly keyring: Keyring;
  readonly acceptance: Acceptance;
  readonly batches: BatchAcceptance;
  readonly unsubscriber: Unsubscriber;
  readonly subscriptions: Subscriptions;
  /** For what takes longer than others wait: a list that is imported, a campaign that starts. */
  readonly longWork: Pool;
  readonly preflights: Preflights;
  /** For reports and orders, planned for the hot tables. */
  readonly pool: Pool;
}

/** Renders all of a campaign's messages, beside the front's event loop. What is found is kept in the database. */
export interface Preflights {
  /** False: another one is under way. */
  begin(order: PreflightOrder): Promise<boolean>;
}

export interface PreflightOrder {
  readonly campaignId: CampaignId;
  /** Of its template. */
  readonly version: number;
  readonly sampleRows: number | undefined;
  readonly isDnsAsked: boolean;
}
