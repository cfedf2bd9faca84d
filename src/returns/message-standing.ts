// Where each message of a batch stands: read and locked at once, then carried along in memory while its returns are
// judged one after the other, so that a line of a log and the notice behind it meet the state that they would have met
// alone. What has changed at the end is written once.

import type { ClientBase } from "pg";
import type { MessageEvent } from "../events/event-store.ts";
import type { LaneId, MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { isSettled, STATES, type SettledState, type State, type WaitingState } from "../mail/state.ts";
import { isBadAddressReturn } from "../outcome/bad-address.ts";
import type { ReturnFact, ReturnJudgement, Standing } from "../outcome/judge-return.ts";
import { lockWaiting, type WaitingRow } from "../queue/returned-store.ts";
import { lockMessages, readTold, type LockedMessage, type ToldEvent } from "./standing-store.ts";

export class MessageStanding {
  readonly message: LockedMessage;
  readonly before: State | undefined;
  readonly expiresAtMs: number;
  readonly #events: MessageEvent[] = [];
  /** Of its campaign's template, by attempt; those of the first are not in it. */
  readonly #versions: ReadonlyMap<number, number>;
  #now: Standing;
  #isAddressBad = false;
  #home: { readonly state: WaitingState; readonly delayMs: number | null } | undefined;

  constructor(message: LockedMessage, standing: Standing, ttlMs: number, versions: ReadonlyMap<number, number>) {
    this.message = message;
    this.#versions = versions;
    this.before = standing.state;
    this.expiresAtMs = Math.min(message.expires_ms ?? Infinity, message.accepted_ms + ttlMs);
    this.#now = standing;
  }

  get now(): Standing {
    return this.#now;
  }

  /** It waits again: when it is due. */
  get home(): { readonly state: WaitingState; readonly delayMs: number | null } | undefined {
    return this.#home;
  }

  /** It has bounced now, because there is no such address. */
  get isAddressBad(): boolean {
    return this.#isAddressBad;
  }

  get events(): readonly MessageEvent[] {
    return this.#events;
  }

  take(fact: ReturnFact, judgement: Extract<ReturnJudgement, { kind: "judged" }>): void {
    const { attempt, outlet } = fact;
    const told = new Map(this.#now.told);
    const version = this.#versions.get(attempt);
    for (const event of judgement.events) {
      this.#events.push({ messageId: this.message.id, attempt, outlet, version, ...event });
      const key = `${attempt} ${event.kind}`;
      told.set(key, (told.get(key) ?? 0) + 1);
    }
    const queueId = judgement.events.find(({ kind }) => kind === "sent")?.queueId ?? this.#now.queueId;
    const { state = this.#now.state, tries = this.#now.tries, delayMs = null } = judgement.becomes ?? {};
    this.#now = { ...this.#now, state, tries, told, queueId };
    if (judgement.becomes !== undefined) this.#home = isWaiting(state) ? { state, delayMs } : undefined;
    if (judgement.becomes?.state === "bounced") this.#isAddressBad = isBadAddressReturn(fact, this.message.recipient);
  }
}

function isWaiting(state: State | undefined): state is WaitingState {
  return state !== undefined && !isSettled(state);
}

/** By message; those that the database no longer has are left out. */
export async function readStandings(
  client: ClientBase,
  ids: readonly MessageId[],
  laneSettingsOf: (laneId: LaneId) => LaneSettings,
): Promise<ReadonlyMap<MessageId, MessageStanding>> {
  if (ids.length === 0) return new Map();
  const messages = await lockMessages(client, ids);
  if (messages.length === 0) return new Map();
  const known = messages.map(({ id }) => id);
  // In this order: a message that has no row in the queue was settled before its story is read.
  const waiting = await lockWaiting(client, known);
  const sinceMs = Math.min(...messages.map(({ accepted_ms }) => accepted_ms));
  const told = byMessage(await readTold(client, known, sinceMs));
  return new Map(
    messages.map((message) => {
      const row = waiting.get(message.id);
      const story = told.get(message.id) ?? [];
      const { ttlMs } = laneSettingsOf(message.lane_id);
      return [message.id, new MessageStanding(message, standingOf(message, row, story), ttlMs, versionsOf(row, story))];
    }),
  );
}

function byMessage(events: readonly ToldEvent[]): ReadonlyMap<MessageId, readonly ToldEvent[]> {
  const stories = new Map<MessageId, ToldEvent[]>();
  for (const event of events) {
    const story = stories.get(event.message_id);
    if (story === undefined) stories.set(event.message_id, [event]);
    else story.push(event);
  }
  return stories;
}

/** `told`: the newest first. */
function standingOf(message: LockedMessage, row: WaitingRow | undefined, told: readonly ToldEvent[]): Standing {
  const attempt = row?.attempts ?? Math.max(0, ...told.map((event) => event.attempt));
  const counts = new Map<string, number>();
  for (const event of told) {
    const key = `${event.attempt} ${event.kind}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const sent = told.filter(({ kind }) => kind === "sent");
  const queueId = sent.find((event) => event.attempt === attempt && event.queue_id !== null)?.queue_id ?? undefined;
  return {
    recipient: message.recipient,
    state: row?.state ?? told.map(({ kind }) => kind).find(isSettledState),
    attempt,
    isClaimed: row?.is_claimed ?? false,
    // Each time that the relay took it and it came home counts; what was put off before that is not remembered.
    tries: row?.tries ?? Math.max(0, sent.length - 1),
    told: counts,
    queueId,
  };
}

/** What comes back is about the text that was sent in its attempt. */
function versionsOf(row: WaitingRow | undefined, told: readonly ToldEvent[]): ReadonlyMap<number, number> {
  const versions = new Map(row === undefined || row.version === null ? [] : [[row.attempts, row.version]]);
  for (const { attempt, version } of told) if (version !== null) versions.set(attempt, version);
  return versions;
}

function isSettledState(kind: string): kind is SettledState {
  return (STATES as readonly string[]).includes(kind) && isSettled(kind as State);
}
