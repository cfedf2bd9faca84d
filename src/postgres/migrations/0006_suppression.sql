-- Who must not get mail. Kept by a keyed hash of the address (src/suppression/suppression-hash.ts), so that a person's
-- address can be erased and the promise not to write again still be kept.

INSERT INTO postlane.secret (name, value)
VALUES ('suppression', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
  ('unsubscribe', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

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
  PRIMARY KEY (hash, scope, list)
);
