-- What the governor needs: readings of relays, the verdict that all dispatchers of an outlet share, what comes back after
-- hand-over, and what is known of destinations. All of it is small and off the hot path; what grows with the mail
-- (return) is emptied as it is judged.

-- The key of the return paths' tokens, made once. 244 random bits: a UUID has 122 (RFC 9562 section 5.4).
CREATE TABLE postlane.secret (
  name  text PRIMARY KEY,
  value bytea NOT NULL
);
INSERT INTO postlane.secret (name, value)
VALUES ('return_token', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The latest reading of each outlet's gauge, and where its agent stands. One row is updated once a second, in place.
CREATE TABLE postlane.reading (
  outlet text COLLATE "C" PRIMARY KEY,
  -- Counts up with each reading, so that nobody takes one for new twice.
  number bigint NOT NULL,
  at     timestamptz NOT NULL,
  body   jsonb NOT NULL,
  -- Who writes it, and how far it has followed the relay's log: committed with the returns that the log told of.
  agent  jsonb NOT NULL
) WITH (fillfactor = 50);

-- What the governor has learnt of each outlet. Whoever is first to see a new reading takes the next step from it; the
-- others find that step taken. So all dispatchers share one verdict and no leader can be missing.
CREATE TABLE postlane.verdict (
  outlet         text COLLATE "C" PRIMARY KEY,
  reading_number bigint NOT NULL,
  at             timestamptz NOT NULL,
  state          jsonb NOT NULL
) WITH (fillfactor = 50);

-- What came back after hand-over, kept before anybody judges it. Lines of a log go when they are judged; notices stay
-- with what was made of them, so that none acts twice.
CREATE TABLE postlane.return (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  outlet      text COLLATE "C",
  source      text COLLATE "C" NOT NULL CHECK (source IN ('log', 'maildir', 'door', 'evidence')),
  -- Of a Maildir: the file's name, so that one that could not be deleted is not taken twice.
  source_key  text COLLATE "C",
  -- Of a log line or of evidence: its parts.
  body        jsonb,
  -- Of a notice: the mail as it came, and its envelope in body.
  raw         bytea,
  judge_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  judged_at   timestamptz,
  -- What was made of it, in words.
  judgement   text
) WITH (
  -- As many rows come and go as the relays' logs have lines.
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 1
);
CREATE UNIQUE INDEX return_source ON postlane.return (outlet, source_key) WHERE source_key IS NOT NULL;
CREATE INDEX return_due ON postlane.return (judge_at) WHERE judged_at IS NULL;

-- What relays' logs and notices say of destinations: throttled while they fail, free once they have answered.
CREATE TABLE postlane.destination (
  name        text COLLATE "C" PRIMARY KEY,
  -- Deliveries since the last failure, counted as far as it matters.
  successes   smallint NOT NULL DEFAULT 0,
  answered_at timestamptz,
  -- Waves of failure since the last delivery.
  failures    integer NOT NULL DEFAULT 0,
  failed_at   timestamptz,
  probe_at    timestamptz,
  error       text,
  tx          xid8 NOT NULL DEFAULT pg_current_xact_id()
) WITH (fillfactor = 70);
CREATE INDEX destination_tx ON postlane.destination (tx);
-- What fails, the worst first: reports look once a second, and most destinations are well.
CREATE INDEX destination_failing ON postlane.destination (failures) WHERE failures > 0;

-- What a person, or a rule that needs one, has stopped: an outlet or a destination, for one lane or for all.
CREATE TABLE postlane.pause (
  kind      text COLLATE "C" NOT NULL CHECK (kind IN ('outlet', 'destination')),
  name      text COLLATE "C" NOT NULL,
  -- 0: every lane.
  lane_id   smallint NOT NULL DEFAULT 0,
  paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Null: a person's. Else the reason of the catalogue, with its evidence.
  reason    jsonb,
  PRIMARY KEY (kind, name, lane_id)
);

-- Sent through a relay that reports back, and never confirmed in the time that it had. Nothing is assumed of them.
CREATE TABLE postlane.unaccounted (
  message_id bigint PRIMARY KEY,
  attempt    smallint NOT NULL,
  outlet     text COLLATE "C" NOT NULL,
  sent_at    timestamptz NOT NULL,
  found_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Up to when each outlet's hand-overs have been looked through for those.
CREATE TABLE postlane.accounted (
  outlet text COLLATE "C" PRIMARY KEY,
  until  timestamptz NOT NULL
);

-- The relay's own name of a message (its queue id, from the reply to the final dot) ties its log and its notices to the
-- attempt. The client's port ties an attempt without a reply to the relay's session.
ALTER TABLE postlane.event ADD COLUMN queue_id text COLLATE "C", ADD COLUMN client_port integer;
CREATE INDEX event_queue_id ON postlane.event (queue_id) WHERE queue_id IS NOT NULL;
-- Events lie in the order of their time, so an index of a few pages a day finds a minute of them, and costs an append
-- nothing: hand-overs that nobody confirmed are looked for by it.
CREATE INDEX event_at ON postlane.event USING brin (at) WITH (autosummarize = on);

-- Attempts that nobody can tell the end of: the agents look for evidence of them. With the relay's view of them only.
CREATE VIEW postlane.open_question AS
  SELECT q.message_id, q.attempts AS attempt, e.outlet, e.client_port, e.at
  FROM postlane.queue AS q
  CROSS JOIN LATERAL (
    SELECT outlet, client_port, at FROM postlane.event
    WHERE message_id = q.message_id AND attempt = q.attempts AND kind = 'unknown' ORDER BY at DESC LIMIT 1
  ) AS e
  WHERE q.state = 'unknown';

-- The role of an agent on another machine: readings and returns, and nothing else. Whoever may not make roles makes it
-- by hand (docs/reference/agent.md); roles are the whole server's, so another database may have made it already.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postlane_agent') THEN
    CREATE ROLE postlane_agent NOLOGIN;
  END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
  NULL;
END
$$;
DO $$
BEGIN
  GRANT USAGE ON SCHEMA postlane TO postlane_agent;
  GRANT SELECT, INSERT, UPDATE ON postlane.reading TO postlane_agent;
  GRANT INSERT ON postlane.return TO postlane_agent;
  GRANT SELECT ON postlane.open_question TO postlane_agent;
EXCEPTION WHEN undefined_object THEN
  RAISE NOTICE 'role postlane_agent was not made: agents on other machines need it';
END
$$;
