-- What the latest preflight of each campaign has found (src/preflight).
CREATE TABLE postlane.campaign_preflight (
  campaign_id integer PRIMARY KEY REFERENCES postlane.campaign,
  -- Of the template that was looked at.
  version     smallint NOT NULL,
  begun_at    timestamptz NOT NULL,
  -- Null: it is under way, or whoever made it is gone.
  finished_at timestamptz,
  report      jsonb,
  -- Why there is no report.
  error       text,
  CHECK ((finished_at IS NULL) = (report IS NULL AND error IS NULL))
);
