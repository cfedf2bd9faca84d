// Asked right before hand-over, and by who wants to know sooner: which of the messages that were just claimed must not go out.
// One statement for each claim, which is over at once as long as nobody is suppressed. By the form of addresses on the wire,
// so that a domain beyond ASCII is known however it is spelled.

import type { CampaignId, LaneId, MessageId } from "../mail/ids.ts";
import { numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import { suppressionName } from "./suppression-hash.ts";

export interface AskedMessage {
  readonly message_id: MessageId;
  readonly campaign_id: CampaignId;
  readonly recipient: string;
  /** Of an email or a mail: what it says of itself. */
  readonly content: Readonly<Record<string, unknown>> | null;
}

export const CLAIMED = statement<{ readonly place: number; readonly because: string }>(
  "suppression_claimed",
  `SELECT place, because FROM postlane.suppressed_among($1::text[],
     ARRAY(
       SELECT coalesce(nullif(given.list, ''),
         (SELECT campaign.list FROM postlane.campaign WHERE campaign.id = given.campaign_id))
       FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY AS given (list, campaign_id, n) ORDER BY n
     ),
     (SELECT is_bulk FROM postlane.lane WHERE id = $4), clock_timestamp())
   WHERE (SELECT EXISTS (SELECT FROM postlane.suppression))`,
);

export const ANY = statement<{ readonly is_any: boolean }>(
  "suppression_any",
  `SELECT EXISTS (SELECT FROM postlane.suppression) AS is_any`,
);

/** Names of so many are made and sent at once; of more it is asked first whether anybody is suppressed at all. */
const FEW = 20;

/** By message, why it must not go out. */
export async function readSuppressed(
  on: Queryable,
  laneId: LaneId,
  messages: readonly AskedMessage[],
): Promise<ReadonlyMap<MessageId, string>> {
  if (messages.length > FEW && !(await rowsOf(on, ANY))[0]!.is_any) return new Map();
  const rows = await rowsOf(on, CLAIMED, [
    textArray(messages.map(({ recipient }) => suppressionName(recipient))),
    textArray(messages.map(listOf)),
    numberArray(messages.map((message) => message.campaign_id)),
    laneId,
  ]);
  return new Map(rows.map(({ place, because }) => [messages[place - 1]!.message_id, because]));
}

function listOf({ content }: AskedMessage): string {
  const list = content?.["list"];
  return typeof list === "string" ? list : "";
}

export const AMONG = statement<{ readonly place: number; readonly because: string }>(
  "suppression_among",
  `SELECT place, because FROM postlane.suppressed_among($1::text[], ARRAY[nullif($2, '')], $3, clock_timestamp())
   WHERE (SELECT EXISTS (SELECT FROM postlane.suppression))`,
);

/** By place, from 0, why mail of this list must not go there. Of many it is asked first whether anybody is suppressed at all. */
export async function suppressedAmong(
  on: Queryable,
  addresses: readonly string[],
  { list, isBulk }: { readonly list: string; readonly isBulk: boolean },
): Promise<ReadonlyMap<number, string>> {
  if (addresses.length > FEW && !(await rowsOf(on, ANY))[0]!.is_any) return new Map();
  const rows = await rowsOf(on, AMONG, [textArray(addresses.map(suppressionName)), list, isBulk]);
  return new Map(rows.map(({ place, because }) => [place - 1, because]));
}
