// Accepts submissions of the doors that have a process. Answers after the commit; what the rules of entry refuse comes
// back as a value, with the hint of what to do.
//
// Commits are grouped: one is under way at a time, and what arrives meanwhile goes into the next. A slow disk makes
// groups larger, not throughput smaller. Bulk has groups of its own, so that nothing urgent waits behind a thousand of
// a newsletter's; which lane that is, the caller says. So has what is large: a mail of 10 MiB takes as long as thousands.

import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import type { SubmissionId } from "../mail/ids.ts";
import type { Queryable } from "../postgres/statement.ts";
import { acceptGroup, fieldsText, type AcceptedRow } from "./submission-store.ts";
import type { Submission, SubmissionAnswer } from "./submission.ts";

/** Of one group. 500 emails take about 50 ms, and who comes next waits for them. */
export const GROUP_SUBMISSIONS_MAX = 500;
export const GROUP_BYTES_MAX = 16 * 1024 * 1024;
/** A mail, or an email's attachments, from which on they wait apart: about as long to write as a group of small ones. */
const LARGE_BYTES_MIN = 256 * 1024;
/** Waiting for their group. Beyond that a door is refused rather than memory filled. */
export const WAITING_SUBMISSIONS_MAX = 10_000;
export const WAITING_BYTES_MAX = 256 * 1024 * 1024;

export interface Acceptance {
  /**
   * Throws when the database fails: then nothing is known of the commit, and the submission may be repeated with its key.
   * Throws `AcceptanceBusy` when too many wait.
   */
  accept(submission: Submission): Promise<SubmissionAnswer>;
}

/** Nothing was queued: too much waits to be accepted already. */
export class AcceptanceBusy extends Error {}

export function createAcceptance(pool: Pool, clock: Clock, bulkLanes: ReadonlySet<string>): Acceptance {
  const waiting = { submissions: 0, bytes: 0 };
  const urgent = createGroups(pool, clock, waiting);
  const bulk = createGroups(pool, clock, waiting);
  const large = createGroups(pool, clock, waiting);
  const groupsOf = (submission: Submission) => {
    if (isLarge(submission)) return large;
    return bulkLanes.has(laneOf(submission)) ? bulk : urgent;
  };
  return { accept: (submission) => groupsOf(submission)(submission) };
}

function isLarge(submission: Submission): boolean {
  if (submission.kind === "mail") return submission.raw.length >= LARGE_BYTES_MIN;
  const { attachments = [] } = submission.email;
  return attachments.reduce((sum, { content }) => sum + content.length, 0) >= LARGE_BYTES_MIN;
}

/** One submission, without a group: for commands. */
export async function acceptSubmission(pool: Pool, submission: Submission): Promise<SubmissionAnswer> {
  const [answer] = await acceptTogether(pool, [submission]);
  return answer!;
}

/** In one transaction, or in the caller's own: for who has something else to write with them. */
export async function acceptTogether(
  on: Queryable,
  submissions: readonly Submission[],
): Promise<readonly SubmissionAnswer[]> {
  if (submissions.length === 0) return [];
  return answersOf(await acceptGroup(on, submissions));
}

export const laneOf = (submission: Submission): string =>
  (submission.kind === "email" ? submission.email.lane : submission.envelope.lane) ?? "transactional";

interface Waiting {
  readonly submission: Submission;
  /** Its fields, written once: to know how large they are, and for the database. */
  readonly text: string;
  readonly bytes: number;
  readonly resolve: (answer: SubmissionAnswer) => void;
  readonly reject: (error: unknown) => void;
}

function createGroups(pool: Pool, clock: Clock, total: { submissions: number; bytes: number }) {
  const queue: Waiting[] = [];
  let isCommitting = false;

  function commitSoon(): void {
    if (queue.length === 0 || isCommitting) return;
    isCommitting = true;
    // Whatever else comes in this turn of the event loop joins the group.
    clock.soon(() => void commitNext());
  }

  async function commitNext(): Promise<void> {
    await commitOne(takeGroup(queue, total));
    isCommitting = false;
    commitSoon();
  }

  async function commitOne(group: readonly Waiting[]): Promise<void> {
    try {
      const rows = await acceptGroup(
        pool,
        group.map(({ submission }) => submission),
        group.map(({ text }) => text),
      );
      for (const [index, answer] of answersOf(rows).entries()) group[index]!.resolve(answer);
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }

  return (submission: Submission): Promise<SubmissionAnswer> =>
    new Promise((resolve, reject) => {
      const text = fieldsText(submission);
      const bytes = bytesOf(submission, text);
      if (total.submissions >= WAITING_SUBMISSIONS_MAX || total.bytes + bytes > WAITING_BYTES_MAX) {
        reject(new AcceptanceBusy("too many submissions wait to be written to the database"));
        return;
      }
      total.submissions++;
      total.bytes += bytes;
      queue.push({ submission, text, bytes, resolve, reject });
      commitSoon();
    });
}

function takeGroup(queue: Waiting[], total: { submissions: number; bytes: number }): readonly Waiting[] {
  let count = 0;
  let bytes = 0;
  while (count < queue.length && count < GROUP_SUBMISSIONS_MAX) {
    const next = queue[count]!.bytes;
    if (count > 0 && bytes + next > GROUP_BYTES_MAX) break;
    bytes += next;
    count++;
  }
  total.submissions -= count;
  total.bytes -= bytes;
  return queue.splice(0, count);
}

/** What it takes in memory, about: enough to bound it. All of an email counts: any field may be the long one. */
function bytesOf(submission: Submission, text: string): number {
  return submission.kind === "mail" ? submission.raw.length : text.length + SUBMISSION_BYTES;
}

/** What keeping it costs beside its fields. */
const SUBMISSION_BYTES = 500;

/** In the order of the group. The database says what was there before the group; within it, who comes first is the first. */
function answersOf(rows: readonly AcceptedRow[]): readonly SubmissionAnswer[] {
  const accepted = new Set<SubmissionId>();
  return rows
    .toSorted((one, other) => one.place - other.place)
    .map((row) => {
      const isRepeated = row.submission_id !== null && accepted.has(row.submission_id);
      if (row.submission_id !== null) accepted.add(row.submission_id);
      return answerOf(isRepeated ? { ...row, is_repeated: true } : row);
    });
}

function answerOf({ submission_id, is_repeated, code, message, hint, field }: AcceptedRow): SubmissionAnswer {
  if (submission_id !== null) {
    return { kind: "accepted", submissionId: submission_id, isRepeated: is_repeated === true };
  }
  return {
    kind: "refused",
    code: code!,
    message: message ?? "",
    hint: hint ?? "",
    ...(field === null || field === "" ? {} : { field }),
  };
}
