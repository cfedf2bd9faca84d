-- Templates by name. A version is a row of content and never changes; pushing another text makes another version.

CREATE TABLE postlane.template (
  name       text COLLATE "C" NOT NULL,
  version    integer NOT NULL CHECK (version > 0),
  content_id bigint NOT NULL UNIQUE,
  -- What an email must bring: the template prints it and has no default.
  required   text[] NOT NULL,
  -- SHA-256 of the source: the same text again is the same version.
  digest     bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, version)
);
