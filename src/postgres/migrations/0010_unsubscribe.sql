-- Which list a campaign goes to: what people unsubscribe from. A name, as the site calls it; and why a campaign has no way
-- to unsubscribe, where a person has said so.

ALTER TABLE postlane.campaign
  ADD COLUMN list text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN no_unsubscribe text;
