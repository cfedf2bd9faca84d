-- The domains that mail is from, and the keys that sign for them (DKIM, RFC 6376).

CREATE TABLE postlane.sender_domain (
  -- As A-labels, lower case.
  name     text COLLATE "C" PRIMARY KEY,
  added_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE postlane.dkim_key (
  domain       text COLLATE "C" NOT NULL REFERENCES postlane.sender_domain ON DELETE CASCADE,
  selector     text COLLATE "C" NOT NULL,
  algorithm    text COLLATE "C" NOT NULL CHECK (algorithm IN ('rsa', 'ed25519')),
  -- As in the DNS record's p=: base64.
  public_key   text COLLATE "C" NOT NULL,
  -- PKCS #8, encrypted under the configuration's key (src/senders/domains/seal-key.ts).
  sealed_key   bytea NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- From when on it signs; null: its record is not published yet.
  activated_at timestamptz,
  -- From when on it signs no more; its record stays published, for mail that is still under way.
  retired_at   timestamptz CHECK (retired_at IS NULL OR activated_at IS NOT NULL),
  PRIMARY KEY (domain, selector)
);

-- Of each algorithm one key of a domain signs, and one waits for its record.
CREATE UNIQUE INDEX dkim_key_active ON postlane.dkim_key (domain, algorithm)
  WHERE activated_at IS NOT NULL AND retired_at IS NULL;
CREATE UNIQUE INDEX dkim_key_new ON postlane.dkim_key (domain, algorithm) WHERE activated_at IS NULL;
