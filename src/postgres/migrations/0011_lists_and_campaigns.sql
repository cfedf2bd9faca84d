-- Lists, and campaigns that are made of them a little ahead of the dispatchers (docs/decisions/0023).
--
-- A list is people and their data. A campaign that starts has accepted all of its list at once: the books say so, in one
-- row for each wave. The messages themselves are made as the queue has room for them, or as the campaign's pace, canary and
-- times permit; so a campaign of a million that waits, is paused or is canceled is a few rows.

CREATE TABLE postlane.list (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Null: it belongs to the one campaign that was made of a file.
  name       text COLLATE "C" UNIQUE,
  -- As src/campaigns/list-columns.ts writes them: what a template may name, and of which type.
  columns    jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One file into one list, or what came into it otherwise. Rows = added + doubled + rejected, at every moment: each chunk adds
-- up in its own transaction.
CREATE TABLE postlane.list_import (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  list_id     integer NOT NULL REFERENCES postlane.list,
  -- Which file, by name and size: the same one again takes up an import that was not finished.
  source      text NOT NULL,
  added       bigint NOT NULL DEFAULT 0,
  -- In the list already, from this file or an earlier one; an earlier one's data is renewed.
  doubled     bigint NOT NULL DEFAULT 0,
  rejected    bigint NOT NULL DEFAULT 0,
  begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz
);
CREATE INDEX list_import_list ON postlane.list_import (list_id);

CREATE TABLE postlane.recipient (
  list_id   integer NOT NULL,
  -- In the order in which they came; a campaign remembers up to which one it has made messages.
  n         bigint GENERATED ALWAYS AS IDENTITY,
  address   text COLLATE "C" NOT NULL,
  -- JSON, as the program has written it. Not read as such until it becomes a message's: a fifth of an import's time.
  data      text NOT NULL,
  -- IANA's name; null: not told.
  time_zone text COLLATE "C",
  import_id integer NOT NULL,
  -- Of the file; 0: it came from no file.
  line      bigint NOT NULL,
  PRIMARY KEY (list_id, n)
);
CREATE UNIQUE INDEX recipient_address ON postlane.recipient (list_id, lower(address));
CREATE INDEX recipient_time_zone ON postlane.recipient (list_id, time_zone, n) WHERE time_zone IS NOT NULL;

-- Rows of a file that became no recipient.
CREATE TABLE postlane.left_out (
  import_id integer NOT NULL,
  line      bigint NOT NULL,
  kind      text COLLATE "C" NOT NULL CHECK (kind IN ('rejected', 'double')),
  -- What stood there, cut.
  raw       text NOT NULL,
  reason    text NOT NULL,
  PRIMARY KEY (import_id, line)
);

ALTER TABLE postlane.campaign
  ADD COLUMN list_id        integer NOT NULL REFERENCES postlane.list,
  -- Of the template that is in force; content_id is its content.
  ADD COLUMN version        smallint NOT NULL DEFAULT 1,
  -- The campaign whose rest it sends: always one that is no rest itself.
  ADD COLUMN rest_of        integer REFERENCES postlane.campaign,
  -- How those whom a rest sends to stood when it was made: state (or not_accepted) -> recipients.
  ADD COLUMN rest_stood     jsonb,
  -- Recipients of its list up to here are its own or its rests': it accepts no more of them.
  ADD COLUMN rest_upto_n    bigint NOT NULL DEFAULT 0,
  ADD COLUMN finished_at    timestamptz,
  -- Which rule stopped it, with its evidence; null: a person did, or it is not paused.
  ADD COLUMN paused_because jsonb,
  -- Messages per second; null: as the governor permits.
  ADD COLUMN pace_per_s     float8 CHECK (pace_per_s > 0),
  -- What the pace has left over (messages), as of then.
  ADD COLUMN pace_left      float8 NOT NULL DEFAULT 0,
  ADD COLUMN fed_at         timestamptz,
  -- The first so many are tried before the others are made; null: no canary.
  ADD COLUMN canary_rows    bigint CHECK (canary_rows > 0),
  -- How long they are watched once all were tried, and the share of them that may fail.
  ADD COLUMN canary_wait_ms bigint,
  ADD COLUMN canary_limit   float8,
  ADD COLUMN canary_state   text COLLATE "C" CHECK (canary_state IN ('sending', 'watching', 'passed', 'stopped')),
  -- When all of them had been tried.
  ADD COLUMN canary_tried_at timestamptz;
CREATE INDEX campaign_rest_of ON postlane.campaign (rest_of) WHERE rest_of IS NOT NULL;

CREATE TABLE postlane.campaign_version (
  campaign_id integer NOT NULL REFERENCES postlane.campaign,
  version     smallint NOT NULL,
  content_id  bigint NOT NULL REFERENCES postlane.content,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (campaign_id, version)
);

-- Recipients of a campaign whose time comes at one instant. rows = made + withdrawn + those still to be made.
CREATE TABLE postlane.campaign_wave (
  campaign_id integer NOT NULL REFERENCES postlane.campaign,
  n           integer NOT NULL,
  -- Which of the list's rows behind after_n, up to upto_n: all, those of time_zone, or those that name no zone.
  scope       text COLLATE "C" NOT NULL CHECK (scope IN ('everyone', 'zone', 'no_zone')),
  time_zone   text COLLATE "C",
  due_at      timestamptz NOT NULL,
  -- The last recipient whose message was made.
  after_n     bigint NOT NULL,
  upto_n      bigint NOT NULL,
  rows        bigint NOT NULL,
  made        bigint NOT NULL DEFAULT 0,
  withdrawn   bigint NOT NULL DEFAULT 0,
  -- Under which day and state the books have those still to be made.
  accepted_on date NOT NULL,
  state       text COLLATE "C" NOT NULL CHECK (state IN ('scheduled', 'queued')),
  PRIMARY KEY (campaign_id, n),
  CHECK (made + withdrawn <= rows),
  CHECK ((scope = 'zone') = (time_zone IS NOT NULL))
);
CREATE INDEX campaign_wave_unmade ON postlane.campaign_wave (campaign_id) WHERE made + withdrawn < rows;

-- Accepted, and no row of the queue yet.
CREATE VIEW postlane.campaign_unmade AS
  SELECT c.lane_id, w.campaign_id, w.state, sum(w.rows - w.made - w.withdrawn)::bigint AS n
  FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id
  WHERE w.made + w.withdrawn < w.rows GROUP BY 1, 2, 3;

-- Whether the time zones of a list's recipients must stay as they are. Who moves from one zone to another while a campaign goes
-- out by local times could be in two of its waves, or in none: so until such a campaign has all its messages, zones are not
-- renewed. (None starts while an import is under way.)
CREATE FUNCTION postlane.zones_stay(the_list_id integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id
    WHERE w.made + w.withdrawn < w.rows AND w.scope <> 'everyone' AND c.list_id = the_list_id
  )
$$;

-- Rows of a file, which the caller has copied into pg_temp.import_row (list_id, address, data, time_zone, import_id, line),
-- become recipients, the careful way: an address that is none is left out, and so is one that the list has. An import that is
-- taken up again meets its own rows, which are neither added nor double. The quick way, for a chunk in which nobody can be
-- double, is COPY into the table itself.
--
-- Chunks of one import come at the same time: sorted, they meet the same address in the same order, as new rows and as
-- rows to be renewed.
CREATE FUNCTION postlane.add_recipients(
  the_import_id integer, OUT added bigint, OUT doubled bigint, OUT rejected bigint
)
LANGUAGE plpgsql AS $$
DECLARE
  zones_stay boolean;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  zones_stay := (SELECT postlane.zones_stay(i.list_id) FROM postlane.list_import AS i WHERE i.id = the_import_id);
  WITH good AS MATERIALIZED (
    SELECT given.*, lower(given.address) AS name,
      row_number() OVER (PARTITION BY lower(given.address) ORDER BY given.line) = 1 AS is_first
    FROM pg_temp.import_row AS given WHERE postlane.address_problem(given.address) IS NULL
  ), known AS MATERIALIZED (
    SELECT good.line AS given_line, kept.n, kept.import_id, kept.line
    FROM good CROSS JOIN LATERAL (
      SELECT r.n, r.import_id, r.line FROM postlane.recipient AS r
      WHERE r.list_id = good.list_id AND lower(r.address) = good.name OFFSET 0
    ) AS kept
  ), newer AS MATERIALIZED (
    SELECT r.list_id, r.n, good.data, good.time_zone
    FROM known JOIN good ON good.line = known.given_line AND good.is_first
      JOIN postlane.recipient AS r ON r.list_id = good.list_id AND r.n = known.n
    WHERE known.import_id <> the_import_id
      AND (r.data <> good.data OR (NOT zones_stay AND r.time_zone IS DISTINCT FROM good.time_zone))
    ORDER BY good.name FOR NO KEY UPDATE OF r
  ), renewed AS (
    UPDATE postlane.recipient AS r
    SET data = newer.data, time_zone = CASE WHEN zones_stay THEN r.time_zone ELSE newer.time_zone END
    FROM newer WHERE r.list_id = newer.list_id AND r.n = newer.n
  ), fresh AS (
    INSERT INTO postlane.recipient (list_id, address, data, time_zone, import_id, line)
    SELECT good.list_id, good.address, good.data, good.time_zone, good.import_id, good.line FROM good
    WHERE good.is_first AND good.line NOT IN (SELECT known.given_line FROM known)
    ORDER BY good.name
    ON CONFLICT (list_id, lower(address)) DO NOTHING
    RETURNING line
  )
  SELECT count(*) INTO added FROM fresh;

  -- Now also what another chunk has added meanwhile is seen: who is not on the list has no address that could be.
  WITH out_rows AS (
    SELECT given.line, CASE WHEN kept.line IS NULL THEN 'rejected' ELSE 'double' END AS kind, given.address AS raw,
      CASE
        WHEN kept.line IS NULL THEN coalesce(postlane.address_problem(given.address), 'was taken off the list meanwhile')
        WHEN kept.import_id = the_import_id THEN 'stands on line ' || kept.line || ' already'
        ELSE coalesce('is in the list since ' || (
          SELECT (i.begun_at AT TIME ZONE 'UTC')::date FROM postlane.list_import AS i WHERE i.id = kept.import_id
        ), 'is in the list already')
      END AS reason
    FROM pg_temp.import_row AS given LEFT JOIN LATERAL (
      SELECT r.import_id, r.line FROM postlane.recipient AS r
      WHERE r.list_id = given.list_id AND lower(r.address) = lower(given.address) OFFSET 0
    ) AS kept ON true
    WHERE (kept.import_id, kept.line) IS DISTINCT FROM (the_import_id, given.line)
  ), noted AS (
    INSERT INTO postlane.left_out (import_id, line, kind, raw, reason)
    SELECT the_import_id, out_rows.line, out_rows.kind, left(out_rows.raw, 500), out_rows.reason FROM out_rows
    ON CONFLICT DO NOTHING
  )
  SELECT count(*) FILTER (WHERE kind = 'double'), count(*) FILTER (WHERE kind = 'rejected') INTO doubled, rejected
    FROM out_rows;
END
$$;

-- Adds a wave to a campaign: from now on its recipients are accepted. Answers how many they are; a wave of nobody is none.
CREATE FUNCTION postlane.add_wave(
  the_campaign_id integer, the_scope text, the_zone text, the_due_at timestamptz, behind_n bigint, last_n bigint
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  at       timestamptz := clock_timestamp();
  today    date := (at AT TIME ZONE 'UTC')::date;
  campaign postlane.campaign;
  lane     postlane.lane;
  found    bigint;
  unmade   text := CASE WHEN the_due_at > at THEN 'scheduled' ELSE 'queued' END;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT * INTO STRICT campaign FROM postlane.campaign WHERE id = the_campaign_id FOR NO KEY UPDATE;
  SELECT * INTO STRICT lane FROM postlane.lane WHERE id = campaign.lane_id;
  IF lane.full_because IS NOT NULL THEN
    PERFORM postlane.refuse_full_lane(lane);
  END IF;
  -- All of the list are as many as its imports have added: none is under way.
  IF the_scope = 'everyone' AND behind_n = 0 THEN
    SELECT coalesce(sum(i.added), 0) INTO found FROM postlane.list_import AS i WHERE i.list_id = campaign.list_id;
  ELSE
    SELECT count(*) INTO found FROM postlane.recipient AS r
    WHERE r.list_id = campaign.list_id AND r.n > behind_n AND r.n <= last_n
      AND (the_scope = 'everyone' OR (the_scope = 'zone' AND r.time_zone = the_zone)
        OR (the_scope = 'no_zone' AND r.time_zone IS NULL));
  END IF;
  IF found > 0 THEN
    INSERT INTO postlane.campaign_wave (campaign_id, n, scope, time_zone, due_at, after_n, upto_n, rows, accepted_on, state)
      SELECT the_campaign_id, coalesce(max(w.n), 0) + 1, the_scope, the_zone, the_due_at, behind_n, last_n, found, today,
        unmade
      FROM postlane.campaign_wave AS w WHERE w.campaign_id = the_campaign_id;
    INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
      VALUES (campaign.lane_id, the_campaign_id, today, unmade, found);
  END IF;
  RETURN found;
END
$$;

-- Makes messages of the next so many recipients of a running campaign whose time has come, which the caller has locked
-- (feed-store.ts). Who is suppressed is settled at once. Answers how many it took from the list, and how many of them wait.
--
-- Sorted by destination, since claims go by destination: what is claimed together then lies together, and a page is written to
-- the log once after a checkpoint, not once for each of its rows.
CREATE FUNCTION postlane.make_messages(the_campaign_id integer, rows_max integer, OUT taken bigint, OUT queued bigint)
LANGUAGE plpgsql AS $$
DECLARE
  at       timestamptz := clock_timestamp();
  today    date := (at AT TIME ZONE 'UTC')::date;
  campaign postlane.campaign;
  for_bulk boolean;
  wave     postlane.campaign_wave;
  unmade   bigint;
  last_n   bigint;
  lost     bigint;
  first_content  bigint;
  suppressed_ids bigint[];
  reasons        text[];
BEGIN
  taken := 0;
  queued := 0;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT * INTO STRICT campaign FROM postlane.campaign WHERE id = the_campaign_id;
  SELECT l.is_bulk INTO STRICT for_bulk FROM postlane.lane AS l WHERE l.id = campaign.lane_id;

  -- Times that have come.
  WITH come AS (
    UPDATE postlane.campaign_wave AS w SET state = 'queued'
    WHERE w.campaign_id = the_campaign_id AND w.state = 'scheduled' AND w.due_at <= at AND w.made + w.withdrawn < w.rows
    RETURNING w.accepted_on, w.rows - w.made - w.withdrawn AS unmade
  )
  INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
    SELECT campaign.lane_id, the_campaign_id, come.accepted_on, entry.state, entry.sign * come.unmade
    FROM come CROSS JOIN (VALUES ('scheduled', -1), ('queued', 1)) AS entry (state, sign);

  SELECT * INTO wave FROM postlane.campaign_wave AS w
    WHERE w.campaign_id = the_campaign_id AND w.due_at <= at AND w.made + w.withdrawn < w.rows
    ORDER BY w.due_at, w.n LIMIT 1;
  IF wave.campaign_id IS NULL OR rows_max <= 0 THEN
    RETURN;
  END IF;
  -- No more than were accepted, whatever has become of the list since.
  unmade := wave.rows - wave.made - wave.withdrawn;

  CREATE TEMPORARY TABLE IF NOT EXISTS feed_row (n bigint, address text COLLATE "C", data text) ON COMMIT DELETE ROWS;
  IF wave.scope = 'zone' THEN
    INSERT INTO pg_temp.feed_row SELECT r.n, r.address, r.data FROM postlane.recipient AS r
      WHERE r.list_id = campaign.list_id AND r.time_zone = wave.time_zone AND r.n > wave.after_n AND r.n <= wave.upto_n
      ORDER BY r.n LIMIT least(rows_max, unmade);
  ELSE
    INSERT INTO pg_temp.feed_row SELECT r.n, r.address, r.data FROM postlane.recipient AS r
      WHERE r.list_id = campaign.list_id AND r.n > wave.after_n AND r.n <= wave.upto_n
        AND (wave.scope = 'everyone' OR r.time_zone IS NULL)
      ORDER BY r.n LIMIT least(rows_max, unmade);
  END IF;
  SELECT count(*), max(n) INTO taken, last_n FROM pg_temp.feed_row;
  -- A dispatcher that has not heard of an edit yet sends the first version, and says so.
  SELECT v.content_id INTO STRICT first_content FROM postlane.campaign_version AS v
    WHERE v.campaign_id = the_campaign_id AND v.version = 1;

  -- Every row has a due time of its own, so that a destination's rows have an order, and claims a cursor.
  WITH copy AS (
    INSERT INTO postlane.message (campaign_id, lane_id, content_id, recipient, data, accepted_at)
      SELECT the_campaign_id, campaign.lane_id, first_content, given.address, given.data::json, at
      FROM pg_temp.feed_row AS given
      ORDER BY postlane.destination_of(given.address), lower(given.address), given.n
      RETURNING id, recipient
  ), listed AS MATERIALIZED (
    SELECT array_agg(copy.id) AS ids, array_agg(copy.recipient) AS recipients FROM copy
    WHERE (SELECT EXISTS (SELECT FROM postlane.suppression))
  ), suppressed AS MATERIALIZED (
    SELECT listed.ids[among.place] AS id, among.because
    FROM listed CROSS JOIN LATERAL
      postlane.suppressed_among(listed.recipients, ARRAY[campaign.list], for_bulk, at) AS among
    WHERE listed.ids IS NOT NULL
  ), waiting AS (
    INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
      SELECT copy.id, clock_timestamp(), the_campaign_id, today, campaign.lane_id, 'queued',
        postlane.destination_of(copy.recipient)
      FROM copy WHERE copy.id NOT IN (SELECT suppressed.id FROM suppressed)
      RETURNING 1
  )
  SELECT (SELECT count(*) FROM waiting), coalesce(array_agg(suppressed.id), '{}'), coalesce(array_agg(suppressed.because), '{}')
    INTO queued, suppressed_ids, reasons FROM suppressed;
  IF cardinality(suppressed_ids) > 0 THEN
    PERFORM postlane.tell_suppressed(suppressed_ids, reasons);
  END IF;

  -- Recipients that were erased meanwhile get nothing; once the list has no more, they are withdrawn.
  lost := CASE WHEN taken < least(rows_max, unmade) THEN unmade - taken ELSE 0 END;
  UPDATE postlane.campaign_wave AS w
    SET made = w.made + taken, withdrawn = w.withdrawn + lost, after_n = coalesce(last_n, w.after_n)
    WHERE w.campaign_id = wave.campaign_id AND w.n = wave.n;
  INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
    SELECT campaign.lane_id, the_campaign_id, entry.accepted_on, entry.state, entry.n
    FROM (VALUES (wave.accepted_on, 'queued', -taken - lost), (wave.accepted_on, 'canceled', lost),
      (today, 'queued', queued), (today, 'suppressed', cardinality(suppressed_ids)::bigint)) AS entry (accepted_on, state, n)
    WHERE entry.n <> 0;
END
$$;

-- Withdraws what is still to be made of a campaign, which the caller has locked and marked as canceled. Answers how many.
CREATE FUNCTION postlane.withdraw_unmade(the_campaign_id integer) RETURNS bigint
LANGUAGE sql AS $$
  WITH unmade AS MATERIALIZED (
    SELECT w.n, w.accepted_on, w.state, w.rows - w.made - w.withdrawn AS left_over
    FROM postlane.campaign_wave AS w
    WHERE w.campaign_id = the_campaign_id AND w.made + w.withdrawn < w.rows FOR UPDATE
  ), marked AS (
    UPDATE postlane.campaign_wave AS w SET withdrawn = w.withdrawn + unmade.left_over
    FROM unmade WHERE w.campaign_id = the_campaign_id AND w.n = unmade.n
  ), told AS (
    INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
    SELECT c.lane_id, the_campaign_id, unmade.accepted_on, entry.state, entry.sign * unmade.left_over
    FROM unmade CROSS JOIN LATERAL (VALUES (unmade.state, -1), ('canceled', 1)) AS entry (state, sign)
      CROSS JOIN (SELECT lane_id FROM postlane.campaign WHERE id = the_campaign_id) AS c
  )
  SELECT coalesce(sum(unmade.left_over), 0)::bigint FROM unmade
$$;

REVOKE ALL ON FUNCTION postlane.zones_stay(integer), postlane.add_recipients(integer), postlane.add_wave(integer, text, text, timestamptz, bigint, bigint),
  postlane.make_messages(integer, integer), postlane.withdraw_unmade(integer) FROM PUBLIC;
