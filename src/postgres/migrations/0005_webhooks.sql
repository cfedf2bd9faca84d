-- What is told to others of a message's story: webhooks, and notices to whoever submitted it by SMTP or sendmail. Both are
-- outboxes: the statement that appends events (src/events/event-store.ts) fills them in the same transaction, so that
-- nothing is missed, doubled or told of what was rolled back, and no cursor could be passed by a late commit.

-- An endpoint of the site. Written by people, or by a rule that stops it, and seldom: every append of events reads it.
CREATE TABLE postlane.webhook (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  url        text NOT NULL,
  name       text,
  -- Kinds of events that it is told.
  kinds      text[] COLLATE "C" NOT NULL,
  -- Null: of every lane.
  lane_ids   smallint[],
  -- What it signs with. It has to be readable, since it signs: whoever can read this table can sign as we do.
  secret     bytea NOT NULL,
  -- The one before, which signs as well until then.
  old_secret bytea,
  old_secret_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- By a person: what happens is kept for it, and waits.
  paused_at  timestamptz,
  -- By a rule, with the reason: nothing is kept for it any more.
  disabled_at timestamptz,
  disabled_because text,
  -- Its deliveries go first, in slices, and then its row.
  removed_at timestamptz
);

-- How each endpoint fares: written as deliveries end.
CREATE TABLE postlane.webhook_standing (
  webhook_id    integer PRIMARY KEY,
  -- Failed deliveries since the last one that was taken.
  failures      integer NOT NULL DEFAULT 0,
  failing_since timestamptz,
  -- While it fails, one delivery at a time is tried, not before this.
  probe_at      timestamptz,
  delivered_at  timestamptz,
  failed_at     timestamptz,
  last_answer   text
) WITH (fillfactor = 50);

-- One event for one endpoint. A row is here for as long as it waits, and when it was given up for as long as it can be
-- replayed; what was taken is deleted. What is sent is made of the event when it is sent.
--
-- No index contains claimed_until, so that a claim is a heap-only update: a backlog of a million rows for a dead
-- endpoint costs one descent of the index for each probe, and no more.
CREATE TABLE postlane.webhook_delivery (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  webhook_id    integer NOT NULL,
  message_id    bigint NOT NULL,
  attempt       smallint NOT NULL,
  kind          text COLLATE "C" NOT NULL,
  -- The event's own time: with message, attempt and kind it names the event.
  at            timestamptz NOT NULL,
  due_at        timestamptz NOT NULL,
  -- A sender has it. One that died gives it back by this time.
  claimed_until timestamptz,
  tries         smallint NOT NULL DEFAULT 0,
  last_answer   text,
  failed_at     timestamptz
) WITH (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX webhook_delivery_due ON postlane.webhook_delivery (webhook_id, due_at, id) WHERE failed_at IS NULL;
CREATE INDEX webhook_delivery_failed ON postlane.webhook_delivery (webhook_id, failed_at, id) WHERE failed_at IS NOT NULL;

-- A notice that is owed to the submitter of a message, with what is to be told of it.
CREATE TABLE postlane.owed_notice (
  message_id bigint NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  attempt    smallint NOT NULL,
  at         timestamptz NOT NULL,
  host       text COLLATE "C",
  reply      text,
  due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (message_id, kind)
);
CREATE INDEX owed_notice_due ON postlane.owed_notice (due_at);

-- Messages whose submitter wants to hear of success too (RFC 3461 section 4.1). Few ask, so that nearly always it is
-- empty, and looking whether it is costs an append next to nothing.
CREATE TABLE postlane.success_asked (
  message_id bigint PRIMARY KEY
);

-- Called by accept_mail, with NOTIFY by recipient. Who was suppressed at entry has no row in the queue: nothing is to come.
CREATE FUNCTION postlane.remember_success_asked(the_submission_id bigint, notify jsonb) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO postlane.success_asked (message_id)
    SELECT m.id FROM postlane.message AS m, jsonb_each_text(notify) AS asked (recipient, conditions)
    WHERE m.submission_id = the_submission_id AND lower(m.recipient) = lower(asked.recipient)
      AND asked.conditions ~* '\mSUCCESS\M'
      AND EXISTS (SELECT FROM postlane.queue AS q WHERE q.message_id = m.id)
    ON CONFLICT DO NOTHING
$$;
REVOKE ALL ON FUNCTION postlane.remember_success_asked(bigint, jsonb) FROM PUBLIC;
