-- Double opt-in: who asked to be on a list, and whether they said so themselves. An address is on the list once its owner has
-- pressed the button behind the link of a confirmation mail, and not before.

INSERT INTO postlane.secret (name, value)
VALUES ('subscription', uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- What is pending ends, and is deleted then. What is confirmed stays: it is the proof of consent, which is the time, the
-- address, the list and the text that was shown (a template's version never changes). No address of a network is kept.
CREATE TABLE postlane.subscription (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  list_id          integer NOT NULL REFERENCES postlane.list,
  address          text COLLATE "C" NOT NULL,
  -- JSON: those columns of the list that were given.
  data             text NOT NULL,
  -- Of the page; null: as the data or the browser say.
  language         text COLLATE "C",
  -- Who asked for it last.
  credential       text NOT NULL,
  -- The confirmation mail: whom it is from (null: the installation's own) and its text.
  sender           text,
  template         text COLLATE "C" NOT NULL,
  template_version integer NOT NULL,
  -- When confirmation mails were accepted. None: somebody asked for an address that is on the list.
  mailed_at        timestamptz[] NOT NULL DEFAULT '{}',
  state            text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'confirmed')),
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at       timestamptz NOT NULL,
  confirmed_at     timestamptz,
  CHECK ((state = 'confirmed') = (confirmed_at IS NOT NULL))
);
CREATE UNIQUE INDEX subscription_pending ON postlane.subscription (list_id, lower(address)) WHERE state = 'pending';
-- Finds all mails to an address.
CREATE INDEX subscription_address ON postlane.subscription (list_id, lower(address));
-- Finds what has ended.
CREATE INDEX subscription_expires ON postlane.subscription (expires_at) WHERE state = 'pending';

-- What came into a list by itself is counted as one import, which never ends.
CREATE UNIQUE INDEX list_import_subscriptions ON postlane.list_import (list_id) WHERE source = 'subscriptions';
