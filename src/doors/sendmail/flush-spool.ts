// Hands over what waits in the spool, the oldest first: by the next sendmail command for its own user's mail, by
// `postlane sendmail --flush`, and by the front. A round ends early when the door cannot be reached; a mail that is put off
// keeps no other waiting, and what was refused for good is set aside and told.

import { claimMail, foldersIn, waitingIn } from "./spool.ts";
import type { SmtpSubmitter, SubmissionEnd } from "./submit-by-smtp.ts";

export interface FlushLimits {
  readonly messageBytesMax: number;
  /** The round begins no further mail after that. */
  readonly msMax: number;
  /** Absent: all. */
  readonly mailsMax?: number;
}

export interface FlushEnd {
  readonly accepted: number;
  /** What still waits, of the folders that were looked at. */
  readonly waiting: number;
  readonly refused: readonly RefusedMail[];
  /** Why something waits that had its turn, or did not have it. */
  readonly waitsBecause?: string;
}

export interface RefusedMail {
  readonly file: string;
  readonly why: string;
}

/** Of one mail: it need not hurry, nobody waits for it. */
const SUBMIT_MS_MAX = 60_000;

/** Of one user. */
export async function flushFolder(folder: string, submitter: SmtpSubmitter, limits: FlushLimits): Promise<FlushEnd> {
  const endsAtMs = performance.now() + limits.msMax;
  const refused: RefusedMail[] = [];
  let accepted = 0;
  let waitsBecause: string | undefined;
  const names = waitingIn(folder);
  for (const name of names.slice(0, limits.mailsMax)) {
    const msLeft = endsAtMs - performance.now();
    if (msLeft <= 0) break;
    const tried = await flushMail(folder, name, submitter, limits, msLeft);
    if (tried.kind === "accepted") accepted++;
    if (tried.kind === "refused") refused.push({ file: `${folder}/${name}`, why: tried.why });
    if (tried.kind !== "put_off") continue;
    waitsBecause = tried.why;
    if (!tried.isReachable) break;
  }
  const waiting = waitingIn(folder).length;
  return { accepted, waiting, refused, ...(waitsBecause === undefined ? {} : { waitsBecause }) };
}

type Tried =
  | { readonly kind: "accepted" | "gone" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "put_off"; readonly why: string; readonly isReachable: boolean };

async function flushMail(
  folder: string,
  name: string,
  submitter: SmtpSubmitter,
  { messageBytesMax }: FlushLimits,
  msLeft: number,
): Promise<Tried> {
  const claim = claimMail(folder, name, messageBytesMax);
  if (claim.kind === "gone") return claim;
  if (claim.kind === "bad") return { kind: "refused", why: claim.problem };
  const { claimed } = claim;
  const end = await submitter.submit(claimed.mail, Math.min(SUBMIT_MS_MAX, msLeft));
  switch (end.kind) {
    case "accepted":
      claimed.remove();
      return { kind: "accepted" };
    case "refused":
      claimed.setAside();
      return { kind: "refused", why: whyRefused(end) };
    case "put_off":
      claimed.putBack();
      return end;
  }
}

/** Of all users, as far as this process may: what one of them has keeps no other waiting. */
export async function flushSpool(place: string, submitter: SmtpSubmitter, limits: FlushLimits): Promise<FlushEnd> {
  const endsAtMs = performance.now() + limits.msMax;
  const ends: FlushEnd[] = [];
  for (const folder of foldersIn(place)) {
    const msMax = Math.max(0, endsAtMs - performance.now());
    ends.push(await flushFolder(folder, submitter, { ...limits, msMax }).catch(notReadable(folder)));
  }
  const waits = ends.find(({ waitsBecause }) => waitsBecause !== undefined);
  return {
    accepted: ends.reduce((sum, { accepted }) => sum + accepted, 0),
    waiting: ends.reduce((sum, { waiting }) => sum + waiting, 0),
    refused: ends.flatMap(({ refused }) => refused),
    ...(waits?.waitsBecause === undefined ? {} : { waitsBecause: waits.waitsBecause }),
  };
}

function notReadable(folder: string): (error: unknown) => FlushEnd {
  return (error) => ({
    accepted: 0,
    waiting: 0,
    refused: [],
    waitsBecause: `${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
  });
}

export function whyRefused({ reply, recipient }: Extract<SubmissionEnd, { readonly kind: "refused" }>): string {
  return recipient === undefined ? reply.text : `${recipient}: ${reply.text}`;
}
