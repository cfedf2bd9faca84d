-- Who must not get mail. Kept by a keyed hash of the address (src/suppression/suppression-hash.ts), so that a person's
-- address can be erased and the promise not to write again still be kept.
--
-- The database hashes as the program does, so that the rules of entry can ask. One thing it cannot: domains beyond ASCII have
-- many spellings, and their one form on the wire (IDNA) is made by the program. So here such an address has no hash: at entry
-- it passes, and right before hand-over the program asks for its form on the wire. Suppressions are always kept under that.

INSERT INTO postlane.secret (name, value)
VALUES ('suppression', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
  ('unsubscribe', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The two blocks of HMAC-SHA-256 (RFC 2104): the key, XOR 0x36 and XOR 0x5c. Made once, since SQL has no XOR of octets.
DO $$
DECLARE
  key bytea := (SELECT value FROM postlane.secret WHERE name = 'suppression');
  inner_block bytea := decode(repeat('36', 64), 'hex');
  outer_block bytea := decode(repeat('5c', 64), 'hex');
BEGIN
  FOR i IN 0 .. length(key) - 1 LOOP
    inner_block := set_byte(inner_block, i, get_byte(key, i) # 54);
    outer_block := set_byte(outer_block, i, get_byte(key, i) # 92);
  END LOOP;
  INSERT INTO postlane.secret (name, value) VALUES ('suppression_inner', inner_block), ('suppression_outer', outer_block);
END
$$;

CREATE TABLE postlane.suppression (
  -- Of `local@domain`, or of `@domain` for all of a domain.
  hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
  scope      text COLLATE "C" NOT NULL CHECK (scope IN ('everything', 'bulk', 'list')),
  -- The list's name; empty with the other scopes.
  list       text COLLATE "C" NOT NULL DEFAULT '' CHECK ((scope = 'list') = (list <> '')),
  -- Null: erased.
  address    text COLLATE "C",
  reason     text COLLATE "C" NOT NULL CHECK (reason IN ('bounce', 'complaint', 'unsubscribe', 'manual', 'import')),
  -- Who or what says so: `msg_42`, `cli`, the name of a file.
  source     text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Null: until a person ends it.
  expires_at timestamptz,
  -- Of scope bulk: the latest strike (a bounce that says that there is no such address, or a complaint), which message it
  -- was about, and the strike before that. They tell the second within 30 days.
  struck_at        timestamptz,
  struck_by        text COLLATE "C",
  struck_before_at timestamptz,
  PRIMARY KEY (hash, scope, list)
);
-- Lists them, the newest first.
CREATE INDEX suppression_created ON postlane.suppression (created_at, hash);
-- Finds what has ended.
CREATE INDEX suppression_expires ON postlane.suppression (expires_at) WHERE expires_at IS NOT NULL;

-- The hash of an address, or of `@domain`; null for a domain beyond ASCII that is not in its form on the wire.
CREATE FUNCTION postlane.suppression_hash(address text) RETURNS bytea
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN octet_length(split_part(address, '@', -1)) = length(split_part(address, '@', -1)) THEN
    sha256((SELECT value FROM postlane.secret WHERE name = 'suppression_outer')
      || sha256((SELECT value FROM postlane.secret WHERE name = 'suppression_inner')
        || convert_to(lower(address COLLATE "C"), 'UTF8')))
  END
$$;

-- Which of the addresses must not get mail that is due then, by their places, and why. `lists`: the list that the mail
-- belongs to, one for each address or one for all; null or empty: to none.
--
-- The plan is made once for a session, perhaps while the table is empty: so it may not choose to read the table whole.
-- Domains are hashed and looked up once, however many addresses they have. One address, which most mail has, and which is
-- seldom on the list, is looked for in plain expressions first: that costs a third of the whole question.
CREATE FUNCTION postlane.suppressed_among(addresses text[], lists text[], for_bulk boolean, due timestamptz)
RETURNS TABLE (place integer, because text)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  inner_block bytea := (SELECT value FROM postlane.secret WHERE name = 'suppression_inner');
  outer_block bytea := (SELECT value FROM postlane.secret WHERE name = 'suppression_outer');
  only_name   text;
BEGIN
  IF cardinality(addresses) = 1 THEN
    only_name := lower(addresses[1] COLLATE "C");
    IF NOT EXISTS (
      SELECT FROM postlane.suppression AS s WHERE s.hash = ANY (ARRAY[
        sha256(outer_block || sha256(inner_block || convert_to(only_name, 'UTF8'))),
        sha256(outer_block || sha256(inner_block || convert_to('@' || split_part(only_name, '@', -1), 'UTF8')))
      ])
    ) THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY
  WITH given AS MATERIALIZED (
    SELECT named.n, named.name, named.domain,
      CASE WHEN cardinality(lists) = 1 THEN lists[1] ELSE lists[named.n] END AS list
    FROM (
      SELECT ordinality::integer AS n, lower(address COLLATE "C") AS name,
        '@' || lower(split_part(address, '@', -1) COLLATE "C") AS domain
      FROM unnest(addresses) WITH ORDINALITY AS one (address, ordinality)
    ) AS named
    WHERE octet_length(named.domain) = length(named.domain)
  ), found AS (
    SELECT given.n, given.list, 'the address' AS what, kept.*
    FROM given CROSS JOIN LATERAL (
      SELECT s.scope, s.list AS for_list, s.reason, s.source, s.created_at, s.expires_at FROM postlane.suppression AS s
      WHERE s.hash = sha256(outer_block || sha256(inner_block || convert_to(given.name, 'UTF8'))) OFFSET 0
    ) AS kept
    UNION ALL
    SELECT given.n, given.list, 'the domain', kept.scope, kept.for_list, kept.reason, kept.source, kept.created_at,
      kept.expires_at
    FROM (SELECT DISTINCT given.domain FROM given) AS one CROSS JOIN LATERAL (
      SELECT s.scope, s.list AS for_list, s.reason, s.source, s.created_at, s.expires_at FROM postlane.suppression AS s
      WHERE s.hash = sha256(outer_block || sha256(inner_block || convert_to(one.domain, 'UTF8'))) OFFSET 0
    ) AS kept JOIN given ON given.domain = one.domain
  )
  SELECT DISTINCT ON (found.n) found.n, concat(found.what, ' is on the suppression list for ', found.scope,
    ' ' || nullif(found.for_list, ''), ' since ', to_char(found.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), ': ',
    found.reason, ', by ', found.source)
  FROM found
  WHERE (found.expires_at IS NULL OR found.expires_at > greatest(due, clock_timestamp()))
    AND (found.scope = 'everything' OR (found.scope = 'bulk' AND for_bulk)
      OR (found.scope = 'list' AND found.for_list = found.list))
  ORDER BY found.n, found.scope = 'everything' DESC, found.scope, found.what;
END
$$;

-- The story of messages that were settled at entry, and who is told of it: what APPEND of src/events/event-store.ts is for
-- all the others. To whom these came was suppressed, so no notice is owed.
CREATE FUNCTION postlane.tell_suppressed(message_ids bigint[], reasons text[]) RETURNS void
LANGUAGE sql AS $$
  WITH told AS MATERIALIZED (
    SELECT message_id, reason, clock.at + ordinality * interval '1 microsecond' AS at
    FROM (SELECT clock_timestamp() - cardinality(message_ids) * interval '1 microsecond' AS at) AS clock,
      unnest(message_ids, reasons) WITH ORDINALITY AS one (message_id, reason, ordinality)
  ), hooked AS (
    INSERT INTO postlane.webhook_delivery (webhook_id, message_id, attempt, kind, at, due_at)
    SELECT hook.id, told.message_id, 0, 'suppressed', told.at, told.at
    FROM postlane.webhook AS hook CROSS JOIN told
    WHERE hook.disabled_at IS NULL AND hook.removed_at IS NULL AND 'suppressed' = ANY (hook.kinds)
      AND (hook.lane_ids IS NULL
        OR (SELECT m.lane_id FROM postlane.message AS m WHERE m.id = told.message_id) = ANY (hook.lane_ids))
  )
  INSERT INTO postlane.event (message_id, attempt, kind, reply, at)
  SELECT told.message_id, 0, 'suppressed', told.reason, told.at FROM told
$$;

REVOKE ALL ON FUNCTION postlane.suppression_hash(text), postlane.tell_suppressed(bigint[], text[]),
  postlane.suppressed_among(text[], text[], boolean, timestamptz) FROM PUBLIC;
