-- The guard (docs/decisions/0024-guard.md): whether this database is still what it was when mail was last sent from it.

-- One row. Dispatchers raise the heartbeat with each renewal of their leases; what a restored or copied database lacks of it
-- shows, and what the guard then holds stands here as well. Not a lane's `paused_at`: that is a person's.
CREATE TABLE postlane.guard (
  id           boolean PRIMARY KEY DEFAULT true CHECK (id),
  -- Which server and which database in it wrote the last heartbeat. Null: none was written yet; of `system_id` also that
  -- our role may not ask for it.
  system_id    text,
  database_id  bigint,
  timeline     bigint,
  -- Counts up. A confirmation, or a hold, makes it jump by more than heartbeats ever could (src/guard/judge-guard.ts).
  n            bigint NOT NULL DEFAULT 0,
  beat_at      timestamptz,
  held         text COLLATE "C" CHECK (held IN ('bulk', 'all')),
  held_at      timestamptz,
  -- Of the catalogue, with its evidence.
  reason       jsonb,
  confirmed_at timestamptz,
  confirmed_by text,
  CHECK ((held IS NULL) = (held_at IS NULL) AND (held IS NULL) = (reason IS NULL))
) WITH (fillfactor = 10);
INSERT INTO postlane.guard DEFAULT VALUES;

-- The one that this server writes to; null: it is a standby and writes to none.
CREATE FUNCTION postlane.timeline() RETURNS bigint
LANGUAGE sql AS $$
  SELECT CASE WHEN NOT pg_is_in_recovery()
    THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END
$$;

-- A lease ends with the timeline that it was taken on. A replica that took over may lack messages, and gives their ids to
-- new ones: what a dispatcher knows of the lost ones must not settle these, so it claims nothing more under that lease.
ALTER TABLE postlane.lease ADD COLUMN timeline bigint NOT NULL DEFAULT postlane.timeline();

-- Whether the guard holds a lane's mail.
CREATE FUNCTION postlane.is_held_by_guard(is_bulk boolean) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM postlane.guard WHERE held = 'all' OR (held = 'bulk' AND is_bulk))
$$;

-- Which database this session is in. The timeline is the one that is written to; a standby writes to none. The system
-- identifier is asked for only where our role may: a check of the right costs less than an error that is caught.
CREATE FUNCTION postlane.database_identity(OUT system_id text, OUT database_id bigint, OUT timeline bigint)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT d.oid::bigint INTO database_id FROM pg_catalog.pg_database AS d WHERE d.datname = current_database();
  timeline := postlane.timeline();
  IF has_function_privilege('pg_catalog.pg_control_system()', 'execute') THEN
    SELECT s.system_identifier::text INTO system_id FROM pg_catalog.pg_control_system() AS s;
  END IF;
END
$$;

-- What the guard sees and remembers, as the program reads it.
CREATE FUNCTION postlane.guard_sight(OUT sight jsonb)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT jsonb_build_object(
    'seen', to_jsonb(seen),
    'remembered', jsonb_build_object('system_id', g.system_id, 'database_id', g.database_id, 'timeline', g.timeline),
    'n', g.n,
    'beat_at_ms', (extract(epoch FROM g.beat_at) * 1000)::float8,
    'beat_ago_ms', (extract(epoch FROM clock_timestamp() - g.beat_at) * 1000)::float8,
    'held', g.held) INTO sight
  FROM postlane.guard AS g CROSS JOIN postlane.database_identity() AS seen;
END
$$;

-- One heartbeat, within the statement that renews a lease: it costs no commit of its own. Whoever finds another dispatcher at
-- it leaves it to that one: the row is never waited for. A database that is not what the row remembers gets none: somebody
-- has to judge it first.
CREATE FUNCTION postlane.guard_beat() RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM postlane.guard FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE postlane.guard AS g SET n = g.n + 1, beat_at = clock_timestamp()
    FROM postlane.database_identity() AS seen
    WHERE (g.system_id, g.database_id, g.timeline) IS NOT DISTINCT FROM (seen.system_id, seen.database_id, seen.timeline);
  END IF;
  RETURN postlane.guard_sight();
END
$$;

REVOKE ALL ON FUNCTION postlane.timeline(), postlane.is_held_by_guard(boolean), postlane.database_identity(),
  postlane.guard_sight(), postlane.guard_beat() FROM PUBLIC;
