// Test copies: chosen recipients' copies as ordinary emails to oneself, through the campaign's lane and marked as tests.
// They belong to no campaign, so no book of it counts them; and nobody can unsubscribe by one: the address that the real copy
// has stands there as one that is nobody's. Possible in every status, since nothing of the campaign is changed.

import type { CampaignRow } from "../campaigns/campaign-store.ts";
import { listIdLine, writeUnsubscribe } from "../compose/list-headers.ts";
import { printCampaignId, printSubmissionId } from "../mail/ids.ts";
import { unsubscribeUrlOf } from "../mail/unsubscribe-token.ts";
import { acceptSubmission } from "../submission/accept-submission.ts";
import type { Door, Email, EmailAttachment, SubmissionRefused } from "../submission/submission.ts";
import type { MergeData } from "../templates/compiled-template.ts";
import { UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import { openCopies, TEST_TOKEN, type OpenedCopies } from "./open-copies.ts";
import { fillParts, headersOf, type CopyPorts } from "./preview-copy.ts";
import { firstRecipients, recipientsNamed, type ListedRecipient } from "./recipient-store.ts";

/** Of one call. */
export const TEST_COPIES_MAX = 20;
/** Of nobody in particular. */
export const TEST_COPIES_DEFAULT = 3;

export interface TestWish {
  /** Where they go. */
  readonly to: string;
  /** Whose copies: addresses of the list; by default its first few. */
  readonly recipients?: readonly string[] | undefined;
  readonly door: Door;
  readonly credential: string;
}

export interface SentTestCopy {
  readonly recipient: string;
  readonly submission: string;
}

export type TestAnswer =
  | { readonly kind: "sent"; readonly copies: readonly SentTestCopy[] }
  /** Nothing was sent: nobody is on the list, these are not on it, or more were named than `TEST_COPIES_MAX`. */
  | { readonly kind: "empty" }
  | { readonly kind: "not_found"; readonly recipients: readonly string[] }
  | { readonly kind: "too_many"; readonly max: number }
  /** Nothing was sent: the copy of this recipient would be held with this. */
  | { readonly kind: "failed"; readonly recipient: string; readonly problem: string }
  /** By the rules of entry; `copies` were sent before. */
  | { readonly kind: "refused"; readonly refusal: SubmissionRefused; readonly copies: readonly SentTestCopy[] };

export async function sendTestCopies(ports: CopyPorts, campaign: CampaignRow, wish: TestWish): Promise<TestAnswer> {
  const recipients = await chooseRecipients(ports, campaign, wish.recipients);
  if ("kind" in recipients) return recipients;
  const copies = await openCopies(ports.pool, campaign, ports.settings, TEST_TOKEN);
  const emails: Email[] = [];
  for (const recipient of recipients) {
    try {
      if (copies instanceof Error) throw copies;
      emails.push(testEmail(copies, recipient, campaign, wish.to, ports));
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { kind: "failed", recipient: recipient.address, problem };
    }
  }
  return await submitAll(ports, recipients, emails, wish);
}

async function chooseRecipients(
  { pool }: CopyPorts,
  { list_id }: CampaignRow,
  named: readonly string[] | undefined,
): Promise<readonly ListedRecipient[] | TestAnswer> {
  if (named === undefined || named.length === 0) {
    const first = await firstRecipients(pool, list_id, TEST_COPIES_DEFAULT);
    return first.length === 0 ? { kind: "empty" } : first;
  }
  if (named.length > TEST_COPIES_MAX) return { kind: "too_many", max: TEST_COPIES_MAX };
  const found = await recipientsNamed(pool, list_id, named);
  const known = new Set(found.map(({ address }) => address.toLowerCase()));
  const missing = named.filter((address) => !known.has(address.toLowerCase()));
  return missing.length === 0 ? found : { kind: "not_found", recipients: missing };
}

function testEmail(
  copies: OpenedCopies,
  recipient: ListedRecipient,
  campaign: CampaignRow,
  to: string,
  { clock, settings }: CopyPorts,
): Email {
  // What would hold the real one must not go out as a test.
  const data = copies.dataOf(recipient);
  copies.compose(recipient, data, clock.wallMs());
  const { subject, text, html, headers } = fillParts(copies, withoutUnsubscribe(data, settings));
  const name = printCampaignId(campaign.id);
  return {
    from: copies.mail.from,
    to,
    subject: `[Test] ${subject}`,
    ...(copies.source.reply_to === undefined ? {} : { reply_to: copies.source.reply_to }),
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    headers: {
      ...withoutListUnsubscribe(headers),
      ...listHeadersOf(copies, campaign, settings),
      "X-Postlane-Test": `${name} for ${recipient.address}`,
    },
    ...(copies.attachments.length === 0 ? {} : { attachments: attachmentsOf(copies) }),
    lane: campaign.lane,
    metadata: { test_of: name, recipient: recipient.address },
  };
}

/** Also where the site has a page of its own, whose address it brings as a column. */
function withoutUnsubscribe(data: MergeData, { publicUrl }: PreflightSettings): MergeData {
  if (!Object.hasOwn(data, UNSUBSCRIBE_URL)) return data;
  const url = publicUrl === undefined ? NOBODYS_URL : unsubscribeUrlOf(TEST_TOKEN, publicUrl);
  return { ...data, [UNSUBSCRIBE_URL]: url };
}

/** RFC 2606 §2: leads nowhere. */
const NOBODYS_URL = `https://postlane.invalid/${TEST_TOKEN}`;

function withoutListUnsubscribe(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^list-unsubscribe(?:-post)?$/i.test(name)));
}

type Headers = Readonly<Record<string, string>>;

/**
 * Said by the email itself, so that the dispatcher adds none that works, for whoever gets the test: also where the campaign
 * has no way to unsubscribe, or another one.
 */
function listHeadersOf({ isBulk, mail }: OpenedCopies, { list }: CampaignRow, settings: PreflightSettings): Headers {
  if (!isBulk) return {};
  const { publicUrl, returnsDomain } = settings;
  const unsubscribe = writeUnsubscribe(() => TEST_TOKEN, { publicUrl, returnsDomain })?.lines ?? "";
  const lines = unsubscribe + listIdLine(list, mail.sender.domain, mail.ownListHeaders);
  return Object.fromEntries(
    headersOf(lines).map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
}

function attachmentsOf({
  source: { attachments = [] },
  attachments: octets,
}: OpenedCopies): readonly EmailAttachment[] {
  return attachments.map(({ filename, content_type, content_id }, place) => ({
    filename,
    content: octets[place]!.toString("base64"),
    ...(content_type === undefined ? {} : { content_type }),
    ...(content_id === undefined ? {} : { content_id }),
  }));
}

async function submitAll(
  { pool }: CopyPorts,
  recipients: readonly ListedRecipient[],
  emails: readonly Email[],
  { door, credential }: TestWish,
): Promise<TestAnswer> {
  const copies: SentTestCopy[] = [];
  for (const [place, email] of emails.entries()) {
    const answer = await acceptSubmission(pool, { kind: "email", email, door, credential });
    if (answer.kind === "refused") return { kind: "refused", refusal: answer, copies };
    copies.push({ recipient: recipients[place]!.address, submission: printSubmissionId(answer.submissionId) });
  }
  return { kind: "sent", copies };
}
