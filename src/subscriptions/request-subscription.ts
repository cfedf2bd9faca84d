// Somebody asks for an address to be on a list: what is pending and the confirmation mail to that address are one transaction,
// and nothing else happens until its owner confirms. The answer is the same whether the address is on the list already, is
// suppressed, or was asked for a moment ago; so nobody finds out by asking. Assumes that the door has looked whether the key
// may send such a mail.

import type { Pool, PoolClient } from "pg";
import { isOnList } from "../campaigns/admission-store.ts";
import { rowBytesMax } from "../campaigns/csv-lines.ts";
import { readListData } from "../campaigns/list-data.ts";
import { findList, listLists, type ListRow } from "../campaigns/list-store.ts";
import { addressProblem } from "../mail/address.ts";
import { confirmUrlOf } from "../mail/confirm-token.ts";
import type { SubscriptionId } from "../mail/ids.ts";
import type { Mac } from "../mail/token-octets.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { acceptTogether } from "../submission/accept-submission.ts";
import { checkEmail, nameOnce } from "../submission/submission-store.ts";
import { REFUSAL_CODES, type Email, type RefusalCode, type SubmissionRefused } from "../submission/submission.ts";
import { isUnsubscribed } from "../suppression/resubscribe.ts";
import { localeProblem } from "../templates/format-filters.ts";
import { parseTemplateId, printTemplateId } from "../templates/template-id.ts";
import { readTemplate } from "../templates/template-store.ts";
import { keepPending, markMailed, mayMail, type SubscriptionGiven } from "./subscription-store.ts";

/** JSON of the columns: as much as a row of a file may have. */
export const SUBSCRIPTION_DATA_BYTES_MAX = rowBytesMax;
/** The variable that every confirmation mail prints. */
export const CONFIRM_URL = "confirm_url";

/** Both under secrets of this database. */
export interface SubscriptionMacs {
  readonly token: Mac;
  readonly suppression: Mac;
}

export interface SubscriptionWish {
  readonly list: string;
  readonly address: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Of the page. */
  readonly language: string | undefined;
  readonly template: string;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly from: string | undefined;
  readonly lane: string;
  readonly credential: string;
  readonly publicUrl: string;
  /** With a key: what was asked for, to know it again. */
  readonly once: { readonly key: string; readonly fingerprint: Buffer } | undefined;
}

export type SubscriptionAnswer =
  | { readonly kind: "pending"; readonly id: SubscriptionId; readonly isRepeated: boolean }
  | SubmissionRefused;

export async function requestSubscription(
  pool: Pool,
  wish: SubscriptionWish,
  macs: SubscriptionMacs,
): Promise<SubscriptionAnswer> {
  try {
    return await inTransaction(pool, async (client) => {
      const list = await findKnownList(client, wish.list);
      const given = await readGiven(client, wish, list);
      const id = await keepPending(client, given);
      await endIfRepeated(client, wish, id);
      const email = confirmationOf(wish, given, confirmUrlOf(id, wish.publicUrl, macs.token));
      await checkEmail(client, email);
      if (await isMailDue(client, list, wish, macs.suppression)) {
        await acceptConfirmation(client, email, wish.credential);
        await markMailed(client, given);
      }
      return { kind: "pending", id, isRepeated: false };
    });
  } catch (error) {
    if (error instanceof NothingKept) return error.answer;
    throw error;
  }
}

/** What is thrown to roll back carries the answer. */
class NothingKept extends Error {
  readonly answer: SubscriptionAnswer;

  constructor(answer: SubscriptionAnswer) {
    super("nothing of the subscription is kept");
    this.answer = answer;
  }
}

function refused(field: string, message: string, hint: string, code: RefusalCode = REFUSAL_CODES.badField) {
  return new NothingKept({ kind: "refused", code, field, message, hint });
}

// ---- what is asked for -----------------------------------------------------------------------------------------------

const LISTS_TOLD_MAX = 10;

async function findKnownList(client: PoolClient, name: string): Promise<ListRow> {
  const list = await findList(client, name);
  if (list !== undefined) return list;
  const known = (await listLists(client, "", LISTS_TOLD_MAX)).map((one) => one.name);
  const hint = known.length === 0 ? "There is none yet: import one." : `Lists: ${known.join(", ")}.`;
  throw refused("list", `there is no list ${JSON.stringify(name.slice(0, 100))}`, hint);
}

async function readGiven(client: PoolClient, wish: SubscriptionWish, list: ListRow): Promise<SubscriptionGiven> {
  const { address, language, credential, from } = wish;
  const problem = addressProblem(address);
  if (problem !== undefined) {
    const message = `field "email" is not an address: ${problem}`;
    throw refused("email", message, "Give local@domain, without a name.", REFUSAL_CODES.badAddress);
  }
  const languageProblem = language === undefined ? undefined : localeProblem(language);
  if (languageProblem !== undefined) throw refused("language", languageProblem, "Leave it out, or correct it.");
  const data = readData(wish, list);
  if (Object.hasOwn(wish.variables, CONFIRM_URL)) {
    throw refused("template", `the variable ${CONFIRM_URL} is not yours to give`, "Leave it out: Postlane makes it.");
  }
  const { name, version, source } = await findConfirmation(client, wish.template);
  const sender = from ?? source.from;
  return { listId: list.id, address, data, language, credential, sender, template: name, templateVersion: version };
}

function readData({ data }: SubscriptionWish, { columns }: ListRow): string {
  const read = readListData(columns, data);
  if (read.kind === "bad") throw refused("data", `field "data": ${read.problem}`, read.hint);
  const bytes = Buffer.byteLength(read.json);
  if (bytes <= SUBSCRIPTION_DATA_BYTES_MAX) return read.json;
  const message = `field "data" has ${bytes} octets, at most ${SUBSCRIPTION_DATA_BYTES_MAX} are taken`;
  throw refused("data", message, "Leave out what the list does not need.", REFUSAL_CODES.limitExceeded);
}

/** One that prints the address to confirm by whatever the variables are: else nobody could. */
async function findConfirmation(client: PoolClient, given: string) {
  const id = parseTemplateId(given);
  const row = id === undefined ? undefined : await readTemplate(client, id);
  if (row === undefined) {
    const hint = "GET /templates lists them; `postlane template push DIR` makes one.";
    throw refused("template", `there is no template ${JSON.stringify(given.slice(0, 100))}`, hint);
  }
  if (row.required.includes(CONFIRM_URL)) return row;
  throw refused(
    "template",
    `template ${printTemplateId(row)} does not print {{ ${CONFIRM_URL} }} in any case, so nobody could confirm`,
    "Print it outside of conditions and loops, and without a default.",
  );
}

/** The version that is named is the one whose text was looked at. */
function confirmationOf(wish: SubscriptionWish, given: SubscriptionGiven, url: string): Email {
  const { address, from, lane, variables } = wish;
  const id = printTemplateId({ name: given.template, version: given.templateVersion });
  const mail = { to: address, lane, template: { id, variables: { ...variables, [CONFIRM_URL]: url } } };
  return from === undefined ? mail : { ...mail, from };
}

// ---- once, and not too often -----------------------------------------------------------------------------------------

async function endIfRepeated(client: PoolClient, { once, credential }: SubscriptionWish, id: SubscriptionId) {
  if (once === undefined) return;
  const earlier = await nameOnce(client, { ...once, id, door: "http", credential });
  if (earlier !== undefined) {
    throw new NothingKept({ kind: "pending", id: earlier as SubscriptionId, isRepeated: true });
  }
}

/** Who is on the list needs none, but for those who have unsubscribed. */
async function isMailDue(client: PoolClient, { id, name }: ListRow, { address }: SubscriptionWish, mac: Mac) {
  if (!(await mayMail(client, id, address))) return false;
  return !(await isOnList(client, id, address)) || (await isUnsubscribed(client, mac, address, name!));
}

/** Without `list`: who has unsubscribed from the list must get it all the same. */
async function acceptConfirmation(client: PoolClient, email: Email, credential: string): Promise<void> {
  const [answer] = await acceptTogether(client, [{ kind: "email", door: "http", credential, email }]);
  if (answer?.kind === "refused") throw new NothingKept(answer);
}
