// A batch: the submissions of one request, accepted in one transaction of their own. Each is answered for itself, or, if
// whoever sends them wants it so, nothing is accepted when one is refused. A key names the batch as a whole: the same key
// with the same batch answers the same ids and queues nothing, with any other batch it is refused.
//
// Few are under way at once, bulk apart from the rest, so that single submissions find a session of the database free.

import { createHash } from "node:crypto";
import type { ClientBase, Pool } from "pg";
import { inTransaction } from "../postgres/transaction.ts";
import { AcceptanceBusy, acceptTogether, laneOf } from "./accept-submission.ts";
import { lockKey, nameOnce } from "./submission-store.ts";
import {
  REFUSAL_CODES,
  type RefusalCode,
  type Submission,
  type SubmissionAccepted,
  type SubmissionAnswer,
  type SubmissionRefused,
} from "./submission.ts";

export interface Batch {
  readonly credential: string;
  /** Without keys of their own, but for those that their senders gave them. */
  readonly submissions: readonly Submission[];
  /** Nothing is accepted when one is refused. */
  readonly isAllOrNone: boolean;
  readonly key?: string | undefined;
}

export type BatchAnswer =
  /** At least one is accepted, and what is accepted is durable. */
  | { readonly kind: "accepted"; readonly answers: readonly SubmissionAnswer[]; readonly isRepeated: boolean }
  /** Nothing was queued. */
  | { readonly kind: "none_accepted"; readonly answers: readonly SubmissionAnswer[] }
  /** Nothing was queued, by fault of the key. */
  | { readonly kind: "key_refused"; readonly refusal: SubmissionRefused };

export interface BatchAcceptance {
  /**
   * Throws when the database fails: then nothing is known of the commit, and the batch may be repeated with its key.
   * Throws `AcceptanceBusy` when too many wait, or when `signal` ends it before it was begun: nothing was queued.
   */
  accept(batch: Batch, signal: AbortSignal): Promise<BatchAnswer>;
}

/** Of each kind, urgent and bulk. A batch of 1,000 takes about 100 ms. */
export const BATCHES_OPEN_MAX = 2;
export const BATCHES_WAITING_MAX = 50;

export function createBatchAcceptance(pool: Pool, bulkLanes: ReadonlySet<string>): BatchAcceptance {
  const [urgent, bulk] = [createTurns(), createTurns()];
  return {
    async accept(batch, signal) {
      const isBulk = batch.submissions.every((submission) => bulkLanes.has(laneOf(submission)));
      return await (isBulk ? bulk : urgent)(() => acceptAtOnce(pool, batch), signal);
    },
  };
}

/** What is thrown to roll back carries the answer. */
class NothingAccepted extends Error {
  readonly answer: BatchAnswer;

  constructor(answer: BatchAnswer) {
    super("nothing of the batch is accepted");
    this.answer = answer;
  }
}

async function acceptAtOnce(pool: Pool, batch: Batch): Promise<BatchAnswer> {
  const submissions = batch.key === undefined ? batch.submissions : withKeys(batch.submissions, batch.key);
  try {
    return await inTransaction(pool, async (client) => {
      await lockItsKey(client, batch);
      const answers = await acceptTogether(client, submissions);
      refuseAsOne(batch, answers);
      return { kind: "accepted", answers, isRepeated: await isRepeated(client, batch, answers) };
    });
  } catch (error) {
    if (error instanceof NothingAccepted) return error.answer;
    const refusal = batch.key === undefined ? undefined : refusalOf(error);
    if (refusal !== undefined) return { kind: "key_refused", refusal };
    throw error;
  }
}

async function lockItsKey(client: ClientBase, { key, credential }: Batch): Promise<void> {
  if (key === undefined || (await lockKey(client, key, credential))) return;
  const message = "the idempotency key is being used by another request";
  throw new NothingAccepted({
    kind: "key_refused",
    refusal: { kind: "refused", code: REFUSAL_CODES.keyInProgress, message, hint: "Ask again in a second." },
  });
}

function refuseAsOne({ key, isAllOrNone, submissions }: Batch, answers: readonly SubmissionAnswer[]): void {
  const refused = answers.filter((answer) => answer.kind === "refused");
  const byKey = answers.find((answer, place) => isOfKey(answer) && !hasKey(submissions[place]!));
  if (key !== undefined && byKey?.kind === "refused")
    throw new NothingAccepted({ kind: "key_refused", refusal: byKey });
  if (refused.length === answers.length || (isAllOrNone && refused.length > 0)) {
    throw new NothingAccepted({ kind: "none_accepted", answers });
  }
}

function isOfKey(answer: SubmissionAnswer): boolean {
  return answer.kind === "refused" && KEY_CODES.has(answer.code);
}

function hasKey(submission: Submission): boolean {
  const { idempotency_key } = submission.kind === "email" ? submission.email : submission.envelope;
  return idempotency_key !== undefined;
}

const KEY_CODES: ReadonlySet<RefusalCode> = new Set([REFUSAL_CODES.keyInProgress, REFUSAL_CODES.keyUsedForOther]);

async function isRepeated(
  client: ClientBase,
  { key, credential, submissions }: Batch,
  answers: readonly SubmissionAnswer[],
): Promise<boolean> {
  const accepted = answers.filter((answer): answer is SubmissionAccepted => answer.kind === "accepted");
  const [first] = accepted;
  if (key === undefined || first === undefined) return accepted.every((answer) => answer.isRepeated);
  const fingerprint = createHash("sha256").update(JSON.stringify(submissions)).digest();
  const door = submissions[0]!.door;
  return (await nameOnce(client, { key, fingerprint, id: first.submissionId, door, credential })) !== undefined;
}

/** Each gets a key of its own, made of the batch's and its place: what was refused for now joins later, nothing twice. */
function withKeys(submissions: readonly Submission[], key: string): readonly Submission[] {
  const digest = createHash("sha256").update(key).digest("hex");
  return submissions.map((submission, index) => {
    if (submission.kind !== "email" || hasKey(submission)) return submission;
    return { ...submission, email: { ...submission.email, idempotency_key: `batch/${digest}/${index}` } };
  });
}

/** What the rules of entry raised about the batch's own key. */
function refusalOf(error: unknown): SubmissionRefused | undefined {
  const { code, message, hint } = error as Readonly<Record<"code" | "message" | "hint", string | undefined>>;
  const known = Object.values(REFUSAL_CODES).find((refusal) => refusal === code);
  if (known === undefined) return undefined;
  return { kind: "refused", code: known, message: message ?? "", hint: hint ?? "", field: "idempotency_key" };
}

function createTurns() {
  const waiting = new Set<() => void>();
  let open = 0;

  /** Whoever waits longest takes over the place of the one that ends. */
  const end = (): void => {
    const [next] = waiting;
    if (next === undefined) open--;
    else next();
  };

  /** Who gives up is forgotten at once, with all that it holds. */
  const turn = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const begin = (): void => {
        waiting.delete(begin);
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        waiting.delete(begin);
        reject(new AcceptanceBusy("the batch waited too long for its turn"));
      };
      waiting.add(begin);
      signal.addEventListener("abort", giveUp, { once: true });
    });

  return async <T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    if (open < BATCHES_OPEN_MAX) open++;
    else if (waiting.size >= BATCHES_WAITING_MAX) throw new AcceptanceBusy("too many batches wait to be written");
    else await turn(signal);
    try {
      return await work();
    } finally {
      end();
    }
  };
}
