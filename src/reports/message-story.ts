// The whole story of one message: where it stands, what it waits for, every attempt with its reply. Reads only. The
// shape is what `postlane message show --json` prints. The state is derived: a row in the queue says it, else the last
// event that names a state.

import type { Pool } from "pg";
import { printCampaignId, printMessageId, printSubmissionId, type MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { isSettled, STATES, type State } from "../mail/state.ts";
import { findMessage, messagesOfSubmission, readEvents, type EventRow, type MessageRow } from "./message-store.ts";

export interface MessageStory {
  readonly id: string;
  /** Null: it waits no longer, and its history is older than what is kept. */
  readonly state: State | null;
  /** It was sent into an outlet that keeps mail on this machine. */
  readonly is_captured: boolean;
  readonly is_being_handed_over: boolean;
  readonly recipient: string;
  readonly lane: string;
  readonly campaign: { readonly id: string; readonly name: string; readonly status: string } | null;
  readonly submission: { readonly id: string; readonly door: string; readonly credential: string } | null;
  readonly metadata: unknown;
  readonly accepted_at: string;
  /** When it is tried next; null when it waits for a person, or for nothing. */
  readonly due_at: string | null;
  /** The message's own limit or its lane's time to live, whichever ends first; null for a lane that is not configured. */
  readonly expires_at: string | null;
  readonly attempts: number;
  readonly events: readonly StoryEvent[];
}

/** Of the configuration; the time to live is what matters here. */
export type LanesByName = Readonly<Record<string, LaneSettings>>;

export interface StoryEvent {
  readonly at: string;
  readonly attempt: number;
  readonly kind: string;
  readonly outlet: string | null;
  readonly host: string | null;
  readonly reply: string | null;
}

// The events are read behind the row: a message that is settled in between still waits by its row, and one that waits no more
// has the event that says why.
export async function tellStory(pool: Pool, id: MessageId, lanes: LanesByName): Promise<MessageStory | undefined> {
  const row = await findMessage(pool, id);
  return row === undefined ? undefined : shapeStory(row, await readEvents(pool, id), lanes);
}

/** Of each message of a submission, in the order of its recipients. */
export async function tellStoriesOf(
  pool: Pool,
  submissionId: number,
  lanes: LanesByName,
): Promise<readonly MessageStory[]> {
  const stories: MessageStory[] = [];
  for (const id of await messagesOfSubmission(pool, submissionId)) {
    const story = await tellStory(pool, id, lanes);
    if (story !== undefined) stories.push(story);
  }
  return stories;
}

export function shapeStory(row: MessageRow, events: readonly EventRow[], lanes: LanesByName): MessageStory {
  const state = stateOf(row, events);
  const isWaiting = state !== null && !isSettled(state);
  return {
    id: printMessageId(row.id),
    state,
    is_captured: state === "sent" && lastStateEvent(events)?.host === CAPTURE_HOST,
    is_being_handed_over: row.queue_state !== null && row.is_claimed === true,
    recipient: row.recipient,
    lane: row.lane,
    campaign: campaignOf(row),
    submission:
      row.submission_id === null
        ? null
        : { id: printSubmissionId(row.submission_id), door: row.door ?? "", credential: row.credential ?? "" },
    metadata: row.metadata ?? null,
    accepted_at: row.accepted_at.toISOString(),
    due_at: isWaiting && row.due_ms !== null ? new Date(row.due_ms).toISOString() : null,
    expires_at: expiryOf(row, lanes),
    attempts: Math.max(row.attempts ?? 0, ...events.map(({ attempt }) => attempt), 0),
    events: events.map((event) => ({ ...event, at: event.at.toISOString() })),
  };
}

/** What the capture outlet says in the place of a server's name. */
const CAPTURE_HOST = "capture";

/** A canceled campaign's rows are swept out slice by slice; the cancel itself was in force at once. */
function stateOf(row: MessageRow, events: readonly EventRow[]): State | null {
  if (row.queue_state !== null) return row.campaign_status === "canceled" ? "canceled" : row.queue_state;
  const last = lastStateEvent(events);
  if (last !== undefined) return last.kind as State;
  return row.campaign_status === "canceled" ? "canceled" : null;
}

/** Without a row in the queue it is settled: an earlier `deferred` must not shine through. */
function lastStateEvent(events: readonly EventRow[]): EventRow | undefined {
  return events.findLast(({ kind }) => (STATES as readonly string[]).includes(kind) && isSettled(kind as State));
}

function campaignOf({ campaign_id, campaign, campaign_status }: MessageRow): MessageStory["campaign"] {
  if (campaign === null || campaign_status === null) return null;
  return { id: printCampaignId(campaign_id), name: campaign, status: campaign_status };
}

function expiryOf(row: MessageRow, lanes: LanesByName): string | null {
  const ttlMs = lanes[row.lane]?.ttlMs;
  const byLane = ttlMs === undefined ? Infinity : row.accepted_at.getTime() + ttlMs;
  const atMs = Math.min(row.expires_at?.getTime() ?? Infinity, byLane);
  return atMs === Infinity ? null : new Date(atMs).toISOString();
}
