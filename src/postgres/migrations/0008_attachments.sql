-- The octets of attachments, once for all recipients of an email or of a template's version. Their names and types stand
-- in the content's body, in the same order.

CREATE TABLE postlane.attachment (
  content_id bigint NOT NULL,
  place      smallint NOT NULL,
  octets     bytea NOT NULL,
  PRIMARY KEY (content_id, place)
);
-- Most of them are compressed already.
ALTER TABLE postlane.attachment ALTER COLUMN octets SET STORAGE EXTERNAL;
