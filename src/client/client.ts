// The client of Postlane's HTTP door: `import { createClient } from "postlane/client"`. Every submission has an idempotency
// key, its caller's or one of its own, and is tried again with it when nothing is known of it or the door is full for a
// moment: so it is there once, however often the network fails. Needs nothing but a `fetch`; keeps no connection of its own
// and nothing on the disk: what could not be handed over is the caller's again.

import { randomUUID } from "node:crypto";
import type { Email, EmailStory } from "./email.ts";
import { PostlaneError } from "./postlane-error.ts";
import { pauseMs, RETRY_AFTER_MS_MAX, sleep } from "./retry-pause.ts";

export { PostlaneError } from "./postlane-error.ts";
export type { Email, EmailAttachment, EmailState, EmailStory, MessageEvent, MessageStory } from "./email.ts";

export interface ClientOptions {
  /** Where the front listens, `http://127.0.0.1:2580` by default. */
  readonly baseUrl?: string;
  /** As `postlane key create` has shown it. */
  readonly key: string;
  /** Of one try, answer included; 15 s by default. */
  readonly timeoutMs?: number;
  /** Tries after the first one; 5 by default. */
  readonly retries?: number;
  /** Another one than Node.js's own, for a proxy say. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface SubmitOptions {
  /** Your own name for it: the same key never queues twice, today or next year. By default a new one. */
  readonly idempotencyKey?: string;
}

export interface BatchOptions extends SubmitOptions {
  /** Nothing is accepted when one is refused, and that is thrown. Otherwise each is answered for itself. */
  readonly isAllOrNone?: boolean;
}

export type BatchItem =
  | { readonly kind: "accepted"; readonly id: string }
  | { readonly kind: "refused"; readonly error: PostlaneError };

export interface PostlaneClient {
  /** Answers once the email is durable in the database. */
  send(email: Email, options?: SubmitOptions): Promise<{ readonly id: string }>;
  /** Up to 1,000, in one transaction. The answers stand in the order of the emails. */
  sendBatch(emails: readonly Email[], options?: BatchOptions): Promise<readonly BatchItem[]>;
  get(id: string): Promise<EmailStory>;
  /** Withdraws what has not been handed over. */
  cancel(id: string): Promise<void>;
  /** `at`: ISO 8601 with a zone, or a Date. */
  reschedule(id: string, at: string | Date): Promise<void>;
}

const BASE_URL = "http://127.0.0.1:2580";
/** The door itself waits 10 s for its database at most. */
const TIMEOUT_MS = 15_000;
/** With pauses of 0.2 to 3.2 s at most: about three seconds in all, on average. */
const RETRIES = 5;

export function createClient(options: ClientOptions): PostlaneClient {
  const door = createDoor(options);
  return {
    async send(email, { idempotencyKey = newKey() } = {}) {
      const { id } = await door("POST", "/emails", { body: bodyOf(email), idempotencyKey });
      return { id: String(id) };
    },
    async sendBatch(emails, { idempotencyKey = newKey(), isAllOrNone = false } = {}) {
      const headers = { "x-batch-validation": isAllOrNone ? "strict" : "permissive" };
      return await door("POST", "/emails/batch", { body: emails.map(bodyOf), idempotencyKey, headers }).then(
        (answer) => itemsOf(answer, emails.length),
        (error: unknown) => itemsOfRefusal(error, emails.length, isAllOrNone),
      );
    },
    async get(id) {
      return (await door("GET", `/emails/${encodeURIComponent(id)}`)) as unknown as EmailStory;
    },
    async cancel(id) {
      await door("POST", `/emails/${encodeURIComponent(id)}/cancel`);
    },
    async reschedule(id, at) {
      await door("PATCH", `/emails/${encodeURIComponent(id)}`, { body: { scheduled_at: at } });
    },
  };
}

/** As the door takes it: octets in base64. */
function bodyOf(email: Email): object {
  if (email.attachments === undefined) return email;
  const attachments = email.attachments.map((each) => ({ ...each, content: base64Of(each.content) }));
  return { ...email, attachments };
}

function base64Of(content: Uint8Array | string): string {
  if (typeof content === "string") return content;
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("base64");
}

const newKey = (): string => `client-${randomUUID()}`;

// ---- one request, tried until something is known ---------------------------------------------------------------------

interface Asked {
  readonly body?: unknown;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

type Door = (method: string, path: string, asked?: Asked) => Promise<Json>;

function createDoor({
  baseUrl = BASE_URL,
  key,
  timeoutMs = TIMEOUT_MS,
  retries = RETRIES,
  fetch = globalThis.fetch,
}: ClientOptions): Door {
  const base = baseUrl.replace(/\/+$/, "");
  return async (method, path, { body, idempotencyKey, headers } = {}) => {
    const request = {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
        ...headers,
      },
      // Once: every try sends the same octets, and a Date is what it was.
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    for (let tries = 1; ; tries++) {
      const end = await tryOnce(fetch, `${base}${path}`, request, timeoutMs);
      if (end.kind === "answered") return end.answer;
      if (end.kind === "failed" || tries > retries) throw end.error;
      await sleep(pauseMs(tries, Math.random(), end.retryAfterMs));
    }
  };
}

type TryEnd =
  | { readonly kind: "answered"; readonly answer: Json }
  | { readonly kind: "failed"; readonly error: PostlaneError }
  /** Nothing is known, or it was not taken for now: the same again may do better. */
  | { readonly kind: "again"; readonly error: PostlaneError; readonly retryAfterMs: number };

async function tryOnce(
  fetch: typeof globalThis.fetch,
  url: string,
  request: RequestInit,
  timeoutMs: number,
): Promise<TryEnd> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...request, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
    text = await response.text();
  } catch (error) {
    return { kind: "again", error: unreachable(url, error), retryAfterMs: 0 };
  }
  const answer = parseJson(text);
  if (response.ok && answer !== undefined) return { kind: "answered", answer };
  const error = errorOf(response.status, answer);
  const retryAfterMs = retryAfterOf(response);
  if (!mayBeTriedAgain(response.status, retryAfterMs)) return { kind: "failed", error };
  return { kind: "again", error, retryAfterMs: retryAfterMs ?? 0 };
}

/** A conflict that says when to come back is one of the moment: the same key is being used right now. */
function mayBeTriedAgain(status: number, retryAfterMs: number | undefined): boolean {
  if (retryAfterMs !== undefined && retryAfterMs > RETRY_AFTER_MS_MAX) return false;
  return status === 409 ? retryAfterMs !== undefined : TRIED_AGAIN.has(status);
}

/** 500 too: what the door answers when something broke says nothing of the commit, and the key makes it safe. */
const TRIED_AGAIN: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** In seconds, as Postlane gives it; a date is one of a proxy's. */
function retryAfterOf({ headers }: Response): number | undefined {
  const given = headers.get("retry-after");
  if (given === null) return undefined;
  const ms = /^\d{1,9}$/.test(given) ? Number(given) * 1000 : Date.parse(given) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function parseJson(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

// ---- errors ----------------------------------------------------------------------------------------------------------

function unreachable(url: string, cause: unknown): PostlaneError {
  const { origin } = new URL(url);
  const why = causeOf(cause);
  const hint = "Is `postlane up` running, and does it listen there (listen.http)?";
  return new PostlaneError(`${origin} did not answer: ${why}`, { code: "unreachable", hint, cause });
}

/** `fetch` says no more than "fetch failed" itself. */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}

/** RFC 9457, as the door writes it; anything else is somebody else's answer. */
function errorOf(status: number, answer: Json | undefined): PostlaneError {
  const { detail, code, hint, field } = answer ?? {};
  if (typeof code !== "string" || typeof detail !== "string") {
    return new PostlaneError(`something that is not Postlane answered ${status}`, {
      code: "not_postlane",
      status,
      hint: "Look at baseUrl, and at what is in between.",
    });
  }
  return new PostlaneError(detail, {
    code,
    status,
    field: textOrNothing(field),
    hint: textOrNothing(hint),
    cause: answer,
  });
}

const textOrNothing = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

// ---- batches ---------------------------------------------------------------------------------------------------------

/** Each with its place. */
function itemsOf({ data, errors }: Json, count: number): readonly BatchItem[] {
  const accepted = new Map(listOf(data).map((each) => [Number(each["index"]), String(each["id"])]));
  const refused = refusalsByPlace(errors);
  return Array.from({ length: count }, (_, place): BatchItem => {
    const id = accepted.get(place);
    if (id !== undefined) return { kind: "accepted", id };
    return { kind: "refused", error: refused.get(place) ?? missing(place) };
  });
}

const listOf = (value: unknown): readonly Json[] => (Array.isArray(value) ? value : []);

function missing(place: number): PostlaneError {
  return new PostlaneError(`the answer says nothing of emails[${place}]`, { code: "not_postlane" });
}

/** When each one is refused, the batch is: that is an answer for each all the same. */
function itemsOfRefusal(error: unknown, count: number, isAllOrNone: boolean): readonly BatchItem[] {
  if (isAllOrNone || !(error instanceof PostlaneError)) throw error;
  const errors = (error.cause as Json | undefined)?.["errors"];
  if (refusalsByPlace(errors).size < count) throw error;
  return itemsOf({ errors }, count);
}

function refusalsByPlace(errors: unknown): ReadonlyMap<number, PostlaneError> {
  return new Map(listOf(errors).map((each) => [Number(each["index"]), errorOf(Number(each["status"]), each)]));
}
