// `postlane webhook create|list|pause|resume|rotate|remove|failed|replay`.

import { randomBytes } from "node:crypto";
import type { Pool } from "pg";
import { listFailed, replayEvents, reviveFailed, type FailedRow } from "../../events/delivery-store.ts";
import { checkEndpointUrl } from "../../events/reachable-address.ts";
import { kindOfEvent, WEBHOOK_EVENTS, WEBHOOK_KINDS, type WebhookKind } from "../../events/webhook-events.ts";
import { eventTypeOf, webhookIdOf } from "../../events/webhook-payload.ts";
import { printWebhookSecret, SECRET_BYTES } from "../../events/webhook-signature.ts";
import {
  COUNTED_MAX,
  createWebhook,
  listWebhooks,
  pauseWebhook,
  removeWebhook,
  resumeWebhook,
  rotateSecret,
  WEBHOOKS_MAX,
  type WebhookRow,
} from "../../events/webhook-store.ts";
import { parseWebhookId, printMessageId, printWebhookId, type WebhookId } from "../../mail/ids.ts";
import { systemClock } from "../../platform/clock.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, DASH, harmless, number, printCount, printSpan, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface WebhookCreateOptions extends CommonOptions {
  readonly events: string;
  readonly name?: string;
  readonly lane?: readonly string[];
}

const NAME_CHARS_MAX = 100;

export async function runWebhookCreate(given: string, options: WebhookCreateOptions): Promise<number> {
  const config = readConfig(options);
  const checked = checkEndpointUrl(given, config.webhookAllow);
  if (checked.kind === "refused") throw new CommandFailure("url_refused", checked.problem);
  const { url } = checked;
  const kinds = readEvents(options.events);
  const lanes = readLanes(options.lane, Object.keys(config.lanes));
  const name = readName(options.name);
  const secret = randomBytes(SECRET_BYTES);
  const id = await withDatabase(config, (pool) => createWebhook(pool, { url, name, kinds, lanes, secret }));
  if (id === undefined) {
    throw new CommandFailure("too_many_webhooks", `There are ${WEBHOOKS_MAX} webhooks already. Remove one first.`);
  }
  tellSecret(id, secret, options, { url, name: name ?? null, events: eventsOf(kinds), lanes: lanes ?? null });
  return EXIT_DONE;
}

/** The only time that it is shown. */
function tellSecret(
  id: WebhookId,
  secret: Uint8Array,
  options: CommonOptions,
  about: Readonly<Record<string, unknown>> = {},
): void {
  const output = createOutput(options);
  const printed = { id: printWebhookId(id), ...about, secret: printWebhookSecret(secret) };
  output.answer(printed);
  output.print(`${printed.id}  ${printed.secret}`);
  output.note("The secret is shown this once: give it to whoever verifies the signatures.");
}

function readEvents(given: string): readonly WebhookKind[] {
  const words = given.split(",").map((word) => word.trim());
  if (words.length === 1 && words[0] === "all") return WEBHOOK_KINDS;
  const kinds = words.map((word) => {
    const kind = kindOfEvent(word);
    if (kind !== undefined) return kind;
    const known = eventsOf(WEBHOOK_KINDS).map((event) => event.slice("email.".length));
    throw misused(`There is no event "${harmless(word)}". Events: ${known.join(", ")}, or all.`);
  });
  return [...new Set(kinds)];
}

function eventsOf(kinds: readonly string[]): readonly string[] {
  return kinds.map((kind) => WEBHOOK_EVENTS[kind as WebhookKind]);
}

function readLanes(given: readonly string[] | undefined, known: readonly string[]): readonly string[] | undefined {
  const missing = given?.find((lane) => !known.includes(lane));
  if (missing !== undefined) {
    throw new CommandFailure("lane_unknown", `There is no lane "${harmless(missing)}". Lanes: ${known.join(", ")}.`);
  }
  return given;
}

function readName(given: string | undefined): string | undefined {
  if (given === undefined || (/^\P{Cc}+$/u.test(given) && given.length <= NAME_CHARS_MAX)) return given;
  throw misused(`A name has 1 to ${NAME_CHARS_MAX} characters and no control characters.`);
}

// ---- list ------------------------------------------------------------------------------------------------------------

export async function runWebhookList(options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const rows = await withDatabase(readConfig(options), listWebhooks);
  output.answer({ webhooks: rows.map(shapeWebhook) });
  if (rows.length === 0) output.print("there is no webhook");
  else for (const line of printTable(LIST_COLUMNS, rows.map(printWebhook))) output.print(line);
  return EXIT_DONE;
}

function shapeWebhook(row: WebhookRow): unknown {
  return {
    id: printWebhookId(row.id),
    url: row.url,
    name: row.name,
    events: eventsOf(row.kinds),
    lanes: row.lanes,
    state: stateOf(row),
    disabled_because: row.disabled_because,
    created_at: row.created_at.toISOString(),
    delivered_at: row.delivered_at?.toISOString() ?? null,
    failing_since: row.failing_since?.toISOString() ?? null,
    last_answer: row.last_answer,
    waiting: row.waiting,
    failed: row.failed,
  };
}

function stateOf({ disabled_at: disabledAt, paused_at: pausedAt, failures }: WebhookRow): string {
  if (disabledAt !== null) return "disabled";
  if (pausedAt !== null) return "paused";
  return failures > 0 ? "failing" : "active";
}

const LIST_COLUMNS = [
  text("webhook"),
  text("name"),
  text("url"),
  text("events"),
  text("lanes"),
  text("state"),
  number("waiting"),
  number("failed"),
  text("last delivered"),
];

function printWebhook(row: WebhookRow): readonly string[] {
  const why = row.disabled_because ?? (row.failures > 0 ? row.last_answer : null);
  return [
    printWebhookId(row.id),
    row.name ?? DASH,
    row.url,
    eventsOf(row.kinds)
      .map((event) => event.slice("email.".length))
      .join(","),
    row.lanes?.join(",") ?? "all",
    [stateOf(row), why].filter(Boolean).join(": "),
    printBounded(row.waiting),
    printBounded(row.failed),
    printTime(row.delivered_at?.toISOString() ?? null),
  ];
}

function printBounded(count: number): string {
  return count < COUNTED_MAX ? printCount(count) : `${printCount(count)}+`;
}

// ---- change ----------------------------------------------------------------------------------------------------------

const CHANGES = {
  pause: { change: pauseWebhook, said: "paused: what happens is kept for it" },
  resume: { change: resumeWebhook, said: "resumed" },
  remove: { change: removeWebhook, said: "removed" },
} as const;

export async function runWebhookChange(
  verb: keyof typeof CHANGES,
  given: string,
  options: CommonOptions,
): Promise<number> {
  const id = readWebhookId(given);
  const { change, said } = CHANGES[verb];
  const isDone = await withDatabase(readConfig(options), (pool) => change(pool, id));
  if (!isDone) throw notFound(id);
  const output = createOutput(options);
  output.answer({ id: printWebhookId(id), [`${verb}d`]: true });
  output.print(`${printWebhookId(id)} ${said}`);
  return EXIT_DONE;
}

export async function runWebhookRotate(given: string, options: CommonOptions): Promise<number> {
  const id = readWebhookId(given);
  const secret = randomBytes(SECRET_BYTES);
  if (!(await withDatabase(readConfig(options), (pool) => rotateSecret(pool, id, secret)))) throw notFound(id);
  tellSecret(id, secret, options);
  createOutput(options).note("For 24 hours the secret before signs as well.");
  return EXIT_DONE;
}

function readWebhookId(given: string): WebhookId {
  const id = parseWebhookId(given);
  if (id !== undefined) return id;
  throw misused(`"${harmless(given)}" is no id of a webhook. \`postlane webhook list\` shows them: whk_1.`);
}

function notFound(id: WebhookId): CommandFailure {
  const message = `There is no webhook ${printWebhookId(id)}. \`postlane webhook list\` shows them.`;
  return new CommandFailure("webhook_not_found", message);
}

// ---- what failed -----------------------------------------------------------------------------------------------------

export async function runWebhookFailed(
  given: string | undefined,
  options: CommonOptions & { readonly limit: number },
): Promise<number> {
  const output = createOutput(options);
  const id = given === undefined ? undefined : readWebhookId(given);
  const rows = await withDatabase(readConfig(options), async (pool) => {
    if (id !== undefined) await requireWebhook(pool, id);
    return await listFailed(pool, id, options.limit);
  });
  output.answer({ deliveries: rows.map(shapeFailed) });
  if (rows.length === 0) output.print("no delivery has failed");
  else for (const line of printTable(FAILED_COLUMNS, rows.map(printFailed))) output.print(line);
  return EXIT_DONE;
}

function shapeFailed(row: FailedRow): unknown {
  return {
    webhook: printWebhookId(row.webhook_id),
    id: webhookIdOf(row),
    type: eventTypeOf(row.kind),
    message_id: printMessageId(row.message_id),
    created_at: row.at.toISOString(),
    tries: row.tries,
    last_answer: row.last_answer,
    given_up_at: row.failed_at?.toISOString() ?? null,
    next_try_at: row.failed_at === null ? row.due_at.toISOString() : null,
  };
}

const FAILED_COLUMNS = [
  text("webhook"),
  text("message"),
  text("event"),
  text("when"),
  number("tries"),
  text("last answer"),
  text("what happens"),
];

function printFailed(row: FailedRow): readonly string[] {
  const waitMs = row.due_at.getTime() - systemClock.wallMs();
  return [
    printWebhookId(row.webhook_id),
    printMessageId(row.message_id),
    eventTypeOf(row.kind),
    printTime(row.at.toISOString()),
    String(row.tries),
    row.last_answer ?? DASH,
    row.failed_at === null ? `again in ${printSpan(Math.max(0, waitMs))}` : "given up",
  ];
}

// ---- replay ----------------------------------------------------------------------------------------------------------

export interface WebhookReplayOptions extends CommonOptions {
  readonly since?: string;
  readonly failed?: boolean;
}

/** Of one transaction. */
const REVIVE_ROWS_MAX = 5000;
const REPLAY_SLICE_MS = 3_600_000;
/** Farther back nobody can mean; and each hour of it is looked through. */
const SINCE_DAYS_MAX = 30;

export async function runWebhookReplay(given: string, options: WebhookReplayOptions): Promise<number> {
  const id = readWebhookId(given);
  const { since, failed } = options;
  if ((since === undefined) === (failed !== true)) throw misused("Give --failed, or --since with a time.");
  const from = since === undefined ? undefined : readSince(since);
  const output = createOutput(options);
  const replayed = await withDatabase(readConfig(options), async (pool) => {
    await requireWebhook(pool, id);
    return from === undefined ? await reviveAll(pool, id) : await replaySince(pool, id, from, options);
  });
  output.answer({ id: printWebhookId(id), replayed });
  output.print(`${countOf(replayed, "event")} due again now for ${printWebhookId(id)}`);
  return EXIT_DONE;
}

function readSince(given: string): Date {
  const isTime = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})$/.test(given);
  const time = new Date(isTime ? given : Number.NaN);
  const agoMs = systemClock.wallMs() - time.getTime();
  if (agoMs >= 0 && agoMs <= SINCE_DAYS_MAX * 86_400_000) return time;
  throw misused(
    `"${harmless(given)}" is no time of the last ${SINCE_DAYS_MAX} days: give ISO 8601 with a zone, such as 2027-01-31T09:00:00Z.`,
  );
}

async function reviveAll(pool: Pool, id: WebhookId): Promise<number> {
  const before = new Date(systemClock.wallMs());
  let revived = 0;
  for (;;) {
    const rows = await reviveFailed(pool, id, before, REVIVE_ROWS_MAX);
    revived += rows;
    if (rows < REVIVE_ROWS_MAX) return revived;
  }
}

async function replaySince(pool: Pool, id: WebhookId, from: Date, options: CommonOptions): Promise<number> {
  const progress = createProgress("replayed", "event", createOutput(options));
  const untilMs = systemClock.wallMs();
  let replayed = 0;
  for (let atMs = from.getTime(); atMs < untilMs; atMs += REPLAY_SLICE_MS) {
    const endMs = Math.min(atMs + REPLAY_SLICE_MS, untilMs);
    replayed += await replayEvents(pool, id, new Date(atMs), new Date(endMs));
    progress.update(replayed, (endMs - from.getTime()) / (untilMs - from.getTime()));
  }
  progress.end();
  // What was given up in that time is not put in again, it is only due again.
  return replayed + (await reviveAll(pool, id));
}

async function requireWebhook(pool: Pool, id: WebhookId): Promise<void> {
  if (!(await listWebhooks(pool)).some((row) => row.id === id)) throw notFound(id);
}
