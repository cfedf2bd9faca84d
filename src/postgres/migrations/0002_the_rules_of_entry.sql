-- The rules of entry, once, for every door: the SQL door has no process in front of it. docs/reference/sql.md is the
-- contract; a change that breaks a caller raises contract_version.
--
-- Nothing here takes a lock that another transaction of the site could wait for: no NOTIFY, no shared row. Only the
-- same idempotency key twice at the same time waits, since it is the same submission.
--
-- An ordinary email takes the short way through every check, in plain expressions: a query inside a function costs
-- several times as much, a call of a function that is not inlined too. What the short way does not know goes the long
-- one, and only that raises.

CREATE FUNCTION postlane.contract_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';

-- Why a text cannot be a recipient's address, or null when it can. src/mail/address.ts says the same; a test compares.
CREATE FUNCTION postlane.odd_address_problem(address text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  -- RFC 5321 section 4.5.3.1; a path is at most 256 octets with its angle brackets.
  local_octets_max   CONSTANT integer := 64;
  domain_octets_max  CONSTANT integer := 253;
  address_octets_max CONSTANT integer := 254;
  domain        text := split_part(address, '@', -1);
  local_part    text := left(address, length(address) - length(domain) - 1);
BEGIN
  RETURN CASE
    WHEN address IS NULL OR address = '' THEN 'no address'
    WHEN strpos(address, '@') = 0 THEN 'no @'
    WHEN address LIKE '@%' THEN 'local part is empty'
    WHEN octet_length(local_part) > local_octets_max THEN 'local part is longer than 64 octets'
    WHEN octet_length(domain) > domain_octets_max THEN 'domain is longer than 253 octets'
    WHEN octet_length(address) > address_octets_max THEN 'address is longer than 254 octets'
    WHEN address ~ '[\u0001-\u0020"(),:;<>\[\\\]\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]' OR strpos(local_part, '@') > 0
      THEN 'a character that an address cannot have'
    WHEN local_part ~ '^\.|\.\.|\.$' THEN 'dots in the local part'
    WHEN strpos(local_part, '=?') > 0 THEN 'what looks like an encoded-word'
    WHEN strpos(domain, '.') = 0 THEN 'the domain has fewer than two labels'
    WHEN domain !~ '^([A-Za-z0-9\u00a1-\U0010ffff]([A-Za-z0-9\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?\.)+[A-Za-z0-9\u00a1-\U0010ffff]([A-Za-z0-9\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?$'
      OR domain ~ '[^.]{64}'
      THEN 'the domain has a bad label'
  END;
END
$$;

-- The same in one look for nearly every address, which is plain. Lengths need no further one: within 64 octets nothing
-- in it can be too long.
CREATE FUNCTION postlane.address_problem(address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN octet_length(address) <= 64 AND strpos(address, '=?') = 0
      AND address ~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+)*@[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)+$'
      THEN NULL
    ELSE postlane.odd_address_problem(address)
  END
$$;

-- `Ann <ann@example.com>` or `ann@example.com` → the address. What may stand behind the bracket is what JavaScript takes
-- for a space and is no control character.
CREATE FUNCTION postlane.mailbox_address(mailbox text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN mailbox ~ '<[^<>]*>[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*$'
      THEN split_part(split_part(mailbox, '<', -1), '>', 1)
    ELSE btrim(mailbox, ' ')
  END
$$;

-- Upper and lower case of ASCII only: the same in every database, whatever its locale.
CREATE FUNCTION postlane.destination_of(address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT lower(split_part(address, '@', -1) COLLATE "C")
$$;

-- Why a text cannot be a mailbox, or null when it can.
CREATE FUNCTION postlane.mailbox_problem(mailbox text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF mailbox ~ '[\u0001-\u001f\u007f]' THEN
    RETURN 'a control character';
  END IF;
  RETURN postlane.address_problem(postlane.mailbox_address(mailbox));
END
$$;

-- A field that is a string or a list of strings, as a list; anything else raises.
CREATE FUNCTION postlane.mailbox_list(email jsonb, field text, mailboxes_max integer) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  given jsonb := email -> field;
  mailboxes text[];
  mailbox text;
  problem text;
BEGIN
  IF given IS NULL OR given = 'null' THEN
    RETURN '{}';
  END IF;
  IF jsonb_typeof(given) = 'string' THEN
    mailboxes := ARRAY[given #>> '{}'];
  ELSIF jsonb_typeof(given) = 'array' AND NOT jsonb_path_exists(given, 'strict $[*] ? (@.type() != "string")') THEN
    mailboxes := ARRAY(SELECT jsonb_array_elements_text(given));
  ELSE
    RAISE EXCEPTION 'field "%" must be a string or a list of strings', field
      USING COLUMN = field, ERRCODE = 'PL001', HINT = 'For example "ann@example.com" or ["Ann <ann@example.com>"].';
  END IF;
  IF cardinality(mailboxes) > mailboxes_max THEN
    RAISE EXCEPTION 'field "%" has % mailboxes, at most % are taken', field, cardinality(mailboxes), mailboxes_max
      USING COLUMN = field, ERRCODE = 'PL004', HINT = 'For mail to many people use postlane.enqueue_many, one email for each.';
  END IF;
  FOREACH mailbox IN ARRAY mailboxes LOOP
    problem := postlane.mailbox_problem(mailbox);
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION 'field "%": % is not an address: %', field, quote_literal(left(mailbox, 100)), problem
        USING COLUMN = field, ERRCODE = 'PL002', HINT = 'Give "local@domain" or "Name <local@domain>".';
    END IF;
  END LOOP;
  RETURN mailboxes;
END
$$;

-- An address is named once, whichever list names it again, in whatever case; the first one is kept.
CREATE FUNCTION postlane.distinct_addresses(mailboxes text[]) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT array_agg(address ORDER BY place) FROM (
    SELECT DISTINCT ON (lower(address COLLATE "C")) address, place
    FROM unnest(mailboxes) WITH ORDINALITY AS given (mailbox, place),
      LATERAL (SELECT postlane.mailbox_address(mailbox) AS address) AS parsed
    ORDER BY lower(address COLLATE "C"), place
  ) AS distinct_address
$$;

-- An ISO 8601 time with its zone. Without one it would depend on the session's setting what it means; words such as
-- `tomorrow` or `infinity`, which PostgreSQL reads too, would make it depend on the moment, or never come.
CREATE FUNCTION postlane.time_field(email jsonb, field text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
  given text := email ->> field;
BEGIN
  IF given !~ '^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)$' THEN
    RAISE invalid_datetime_format;
  END IF;
  RETURN given::timestamptz;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR invalid_parameter_value
  OR invalid_time_zone_displacement_value THEN
  RAISE EXCEPTION 'field "%": % is not a time', field, quote_literal(left(given, 100))
    USING COLUMN = field, ERRCODE = 'PL006', HINT = 'Give ISO 8601 with a zone, such as "2027-01-31T09:00:00Z".';
END
$$;

CREATE FUNCTION postlane.check_headers(headers jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  headers_max            CONSTANT integer := 50;
  header_value_chars_max CONSTANT integer := 2000;
  header record;
  headers_seen integer := 0;
BEGIN
  IF jsonb_typeof(headers) <> 'object' THEN
    RAISE EXCEPTION 'field "headers" must be an object of strings' USING COLUMN = 'headers', ERRCODE = 'PL001',
      HINT = 'For example {"X-Order": "4711"}.';
  END IF;
  FOR header IN SELECT key, value FROM jsonb_each(headers) LOOP
    headers_seen := headers_seen + 1;
    IF headers_seen > headers_max THEN
      RAISE EXCEPTION 'the email has more than % headers of its own', headers_max USING COLUMN = 'headers', ERRCODE = 'PL004',
        HINT = 'Leave some out.';
    END IF;
    IF header.key !~ '^[!-9;-~]{1,76}$' THEN
      RAISE EXCEPTION 'headers: % is not a header name', quote_literal(left(header.key, 100)) USING COLUMN = 'headers', ERRCODE = 'PL001',
        HINT = 'A name has 1 to 76 printable ASCII characters and no colon.';
    END IF;
    IF lower(header.key) ~ '^(from|to|cc|bcc|reply-to|sender|subject|date|message-id|mime-version|return-path|received|dkim-signature|authentication-results|(arc|content|resent)-.*)$' THEN
      RAISE EXCEPTION 'headers: % is written by Postlane', quote_literal(header.key) USING COLUMN = 'headers', ERRCODE = 'PL001',
        HINT = 'Use the field of that name, or leave it out.';
    END IF;
    IF jsonb_typeof(header.value) <> 'string' OR header.value #>> '{}' ~ '[\u0001-\u001f\u007f]' THEN
      RAISE EXCEPTION 'headers: the value of % is not a string without control characters', quote_literal(header.key)
        USING COLUMN = 'headers', ERRCODE = 'PL001', HINT = 'Remove line breaks and other control characters.';
    END IF;
    IF length(header.value #>> '{}') > header_value_chars_max THEN
      RAISE EXCEPTION 'headers: the value of % has more than % characters', quote_literal(header.key),
        header_value_chars_max USING COLUMN = 'headers', ERRCODE = 'PL004', HINT = 'Shorten it.';
    END IF;
  END LOOP;
END
$$;

CREATE FUNCTION postlane.check_tags(tags jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  tags_max      CONSTANT integer := 50;
  tag_chars_max CONSTANT integer := 256;
  plain         CONSTANT text := '^[A-Za-z0-9_-]+$';
  tag jsonb;
BEGIN
  IF jsonb_typeof(tags) = 'array' AND jsonb_array_length(tags) > tags_max THEN
    RAISE EXCEPTION 'the email has % tags, at most % are taken', jsonb_array_length(tags), tags_max
      USING COLUMN = 'tags', ERRCODE = 'PL004', HINT = 'Leave some out.';
  END IF;
  -- A tag that is none ends the loop before its end.
  IF jsonb_typeof(tags) = 'array' THEN
    FOR tag IN SELECT jsonb_array_elements(tags) LOOP
      EXIT WHEN jsonb_typeof(tag -> 'name') IS DISTINCT FROM 'string';
      EXIT WHEN jsonb_typeof(tag -> 'value') IS DISTINCT FROM 'string';
      EXIT WHEN tag - 'name' - 'value' <> '{}' OR tag ->> 'name' !~ plain OR tag ->> 'value' !~ plain;
      IF greatest(length(tag ->> 'name'), length(tag ->> 'value')) > tag_chars_max THEN
        RAISE EXCEPTION 'a tag has a name or value of more than % characters', tag_chars_max USING COLUMN = 'tags', ERRCODE = 'PL004',
          HINT = 'Shorten it.';
      END IF;
      tag := NULL;
    END LOOP;
  END IF;
  IF jsonb_typeof(tags) <> 'array' OR tag IS NOT NULL THEN
    RAISE EXCEPTION 'field "tags" must be a list of objects with "name" and "value"' USING COLUMN = 'tags', ERRCODE = 'PL001',
      HINT = 'For example [{"name": "kind", "value": "receipt"}]; ASCII letters, digits, _ and -.';
  END IF;
END
$$;

-- What is said of each attachment in the mail itself, and its octets, in the same order. src/compose checks the same again.
CREATE FUNCTION postlane.check_attachments(attachments jsonb, OUT said jsonb, OUT octets bytea[])
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  attachments_max        CONSTANT integer := 50;
  attachments_bytes_max  CONSTANT integer := 10485760;
  filename_chars_max     CONSTANT integer := 255;
  content_type_chars_max CONSTANT integer := 255;
  content_id_chars_max   CONSTANT integer := 128;
  fields                 CONSTANT text[] := ARRAY['filename', 'content', 'content_type', 'content_id'];
  attachment jsonb;
  place      integer := 0;
  the_octets bytea;
  all_bytes  bigint := 0;
  problem    text;
BEGIN
  said := '[]';
  octets := '{}';
  IF jsonb_typeof(attachments) <> 'array' OR jsonb_path_exists(attachments, 'strict $[*] ? (@.type() != "object")') THEN
    RAISE EXCEPTION 'field "attachments" must be a list of objects' USING COLUMN = 'attachments', ERRCODE = 'PL001',
      HINT = 'For example [{"filename": "hello.txt", "content": "SGVsbG8="}]; the content is base64.';
  END IF;
  IF jsonb_array_length(attachments) > attachments_max THEN
    RAISE EXCEPTION 'the email has % attachments, at most % are taken', jsonb_array_length(attachments), attachments_max
      USING COLUMN = 'attachments', ERRCODE = 'PL004', HINT = 'Put several files into one archive.';
  END IF;
  FOR attachment IN SELECT jsonb_strip_nulls(one) FROM jsonb_array_elements(attachments) AS one LOOP
    problem := CASE
      WHEN attachment ? 'path' THEN '.path: nothing is fetched; give the content in base64, as "content"'
      WHEN attachment - fields <> '{}' THEN format(': unknown field "%s"; known: %s',
        (SELECT left(min(field), 100) FROM jsonb_object_keys(attachment - fields) AS field), array_to_string(fields, ', '))
      WHEN jsonb_typeof(attachment -> 'filename') IS DISTINCT FROM 'string' THEN '.filename: must be a string'
      WHEN jsonb_typeof(attachment -> 'content') IS DISTINCT FROM 'string' THEN '.content: must be a string in base64'
      WHEN jsonb_typeof(attachment -> 'content_type') <> 'string' THEN '.content_type: must be a string'
      WHEN jsonb_typeof(attachment -> 'content_id') <> 'string' THEN '.content_id: must be a string'
      WHEN length(attachment ->> 'filename') NOT BETWEEN 1 AND filename_chars_max
        THEN format('.filename: has %s characters, 1 to %s are taken', length(attachment ->> 'filename'), filename_chars_max)
      WHEN attachment ->> 'filename' ~ '[\u0001-\u001f\u007f]' THEN '.filename: holds a control character'
      WHEN length(attachment ->> 'content_type') > content_type_chars_max
        THEN format('.content_type: has more than %s characters', content_type_chars_max)
      WHEN attachment ->> 'content_type' !~ '^[A-Za-z0-9!#$%&''*+.^_`{|}~-]+/[A-Za-z0-9!#$%&''*+.^_`{|}~-]+(?: *; *[A-Za-z0-9!#$%&''*+.^_`{|}~-]+=(?:[A-Za-z0-9!#$%&''*+.^_`{|}~-]+|"[ !#-\[\]-~]*"))*$'
        THEN '.content_type: not of the form "application/pdf" or "text/csv; charset=utf-8"'
      WHEN attachment ->> 'content_type' ~* '^(?:message|multipart)/'
        THEN '.content_type: no attachment is sent as message/… or multipart/…, which may not be in base64; use application/octet-stream'
      WHEN attachment ->> 'content_id' !~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~.@-]+$' OR strpos(attachment ->> 'content_id', '=?') > 0
        OR length(attachment ->> 'content_id') > content_id_chars_max
        THEN format('.content_id: not 1 to %s letters, digits and signs without brackets, such as "logo"', content_id_chars_max)
      WHEN said @> jsonb_build_array(jsonb_build_object('content_id', attachment -> 'content_id'))
        THEN '.content_id: another attachment has it'
    END;
    IF problem IS NULL THEN
      BEGIN
        the_octets := decode(attachment ->> 'content', 'base64');
      EXCEPTION WHEN invalid_parameter_value THEN
        problem := '.content: not base64';
      END;
    END IF;
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION 'attachments[%]%', place, problem USING COLUMN = 'attachments', ERRCODE = 'PL001',
        HINT = 'Give "filename" and "content" in base64 (RFC 4648 section 4, with its padding), and if you like "content_type" and "content_id".';
    END IF;
    all_bytes := all_bytes + octet_length(the_octets);
    IF all_bytes > attachments_bytes_max THEN
      RAISE EXCEPTION 'the attachments have more than % bytes', attachments_bytes_max USING COLUMN = 'attachments',
        ERRCODE = 'PL004', HINT = 'Link to large files instead of sending them: many mail servers take no more, either.';
    END IF;
    said := said || jsonb_build_array(attachment - 'content' || jsonb_build_object('bytes', octet_length(the_octets)));
    octets := octets || the_octets;
    place := place + 1;
  END LOOP;
END
$$;

-- The submission of this credential that already has this key, or null when it is new (it is this one's from now on).
-- `kept_for` null: the key names that submission for as long as it is kept; else it may name another one afterwards.
--
-- Another transaction that has the key and is still open is waited for by the SQL door: there it is the site's own. Doors
-- with a process in front refuse at once (PL008), since others wait behind it in the same group.
CREATE FUNCTION postlane.enqueue_once(
  the_key text, print bytea, new_id bigint, door text, the_credential text, kept_for interval DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  key_chars_max CONSTANT integer := 256;
  earlier record;
BEGIN
  IF length(the_key) NOT BETWEEN 1 AND key_chars_max THEN
    RAISE EXCEPTION 'field "idempotency_key" has % characters', length(the_key) USING ERRCODE = 'PL004',
      HINT = format('Give 1 to %s characters.', key_chars_max), COLUMN = 'idempotency_key';
  END IF;
  IF door <> 'sql' AND NOT pg_try_advisory_xact_lock(hashtextextended(the_key, hashtext(the_credential))) THEN
    RAISE EXCEPTION 'idempotency key % is being used by another request', quote_literal(the_key)
      USING ERRCODE = 'PL008', HINT = 'Wait for that one''s answer, or ask again in a second.', COLUMN = 'idempotency_key';
  END IF;
  INSERT INTO postlane.idempotency_key AS used (credential, key, fingerprint, submission_id, expires_at)
    VALUES (the_credential, the_key, print, new_id, clock_timestamp() + kept_for)
    ON CONFLICT (credential, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, submission_id = excluded.submission_id, expires_at = excluded.expires_at
      WHERE used.expires_at < clock_timestamp();
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT used.submission_id, used.fingerprint INTO STRICT earlier FROM postlane.idempotency_key AS used
    WHERE used.credential = the_credential AND used.key = the_key;
  IF earlier.fingerprint <> print THEN
    RAISE EXCEPTION 'idempotency key % was used for another email', quote_literal(the_key)
      USING ERRCODE = 'PL005', HINT = 'A key names one submission for ever: use a new one for new content.',
      COLUMN = 'idempotency_key';
  END IF;
  RETURN earlier.submission_id;
END
$$;

-- Where a submission waits. A lane takes no more mail while the queue is full (upkeep says so, src/upkeep/intake.ts):
-- that is raised later, once it is known that the submission is new.
CREATE FUNCTION postlane.lane_of(lane_name text) RETURNS postlane.lane
LANGUAGE plpgsql STABLE AS $$
DECLARE
  found_lane postlane.lane;
BEGIN
  SELECT * INTO found_lane FROM postlane.lane WHERE lane.name = lane_name;
  IF found_lane.id IS NULL THEN
    RAISE EXCEPTION 'there is no lane %', quote_literal(left(lane_name, 100)) USING ERRCODE = 'PL003', COLUMN = 'lane',
      HINT = 'Lanes: ' || (SELECT string_agg(lane.name, ', ' ORDER BY lane.id) FROM postlane.lane)
        || '. More are made in postlane.yaml.';
  END IF;
  RETURN found_lane;
END
$$;

CREATE FUNCTION postlane.refuse_full_lane(lane postlane.lane) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE EXCEPTION 'lane % takes no more mail for now: %', lane.name, lane.full_because USING ERRCODE = 'PL009',
    HINT = 'Nothing was queued. Send it again later: mail that waits goes out first.', COLUMN = 'lane';
END
$$;

-- The rows of an accepted submission: its content, and per recipient a message with its row in the queue; and an entry in
-- the books. A recipient who is suppressed is no error: nobody's transaction fails because somebody has unsubscribed. The
-- message is settled at once, and never has a row in the queue.
CREATE FUNCTION postlane.place_submission(
  new_id bigint, door text, credential text, metadata jsonb, body json, raw bytea, recipients text[],
  lane_number smallint, at timestamptz, due timestamptz, expires timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  today       date := (at AT TIME ZONE 'UTC')::date;
  first_state text := CASE WHEN due > at THEN 'scheduled' ELSE 'queued' END;
  message_id  bigint;
  found       record;
  -- By the recipient's place; null: it may get mail.
  why_not        text[] := '{}';
  suppressed_ids bigint[] := '{}';
  reasons        text[] := '{}';
BEGIN
  INSERT INTO postlane.content (id, body, raw) VALUES (new_id, body, raw);
  INSERT INTO postlane.submission (id, door, credential, accepted_at, metadata)
    VALUES (new_id, door, credential, at, metadata);
  IF EXISTS (SELECT FROM postlane.suppression) THEN
    FOR found IN SELECT * FROM postlane.suppressed_among(recipients, ARRAY[body ->> 'list'],
      (SELECT lane.is_bulk FROM postlane.lane WHERE lane.id = lane_number), due)
    LOOP
      why_not[found.place] := found.because;
    END LOOP;
  END IF;
  FOR i IN 1 .. cardinality(recipients) LOOP
    INSERT INTO postlane.message (submission_id, campaign_id, lane_id, content_id, recipient, accepted_at, expires_at)
      VALUES (new_id, 0, lane_number, new_id, recipients[i], at, expires)
      RETURNING id INTO message_id;
    IF why_not[i] IS NULL THEN
      INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
        VALUES (message_id, due, 0, today, lane_number, first_state, postlane.destination_of(recipients[i]));
    ELSE
      suppressed_ids := suppressed_ids || message_id;
      reasons := reasons || why_not[i];
    END IF;
  END LOOP;
  INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
    SELECT lane_number, 0, today, entry.state, entry.n
    FROM (VALUES (first_state, cardinality(recipients) - cardinality(suppressed_ids)),
      ('suppressed', cardinality(suppressed_ids))) AS entry (state, n)
    WHERE entry.n > 0;
  IF cardinality(suppressed_ids) > 0 THEN
    PERFORM postlane.tell_suppressed(suppressed_ids, reasons);
  END IF;
END
$$;

-- What is wrong with the fields that must be a string, the long way: accept_email has seen that something is.
CREATE FUNCTION postlane.refuse_text_fields(email jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  field text;
BEGIN
  FOREACH field IN ARRAY ARRAY['subject', 'text', 'html', 'lane', 'list', 'scheduled_at', 'expires_at', 'idempotency_key'] LOOP
    IF jsonb_typeof(email -> field) NOT IN ('string', 'null') THEN
      RAISE EXCEPTION 'field "%" must be a string, not %', field, jsonb_typeof(email -> field)
        USING COLUMN = field, ERRCODE = 'PL001', HINT = 'Give the field as a JSON string, or leave it out.';
    END IF;
    -- Refused, never cleaned: header texts, and names that people must be able to print.
    IF field NOT IN ('text', 'html') AND email ->> field ~ '[\u0001-\u001f\u007f]' THEN
      RAISE EXCEPTION 'field "%" holds a control character', field
        USING COLUMN = field, ERRCODE = 'PL001', HINT = 'Remove line breaks and other control characters.';
    END IF;
  END LOOP;
END
$$;

-- When an email may go out, and from when on it is too late.
CREATE FUNCTION postlane.sending_times(email jsonb, at timestamptz, OUT due timestamptz, OUT expires timestamptz)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  due := at;
  IF email ->> 'scheduled_at' IS NOT NULL THEN
    due := greatest(postlane.time_field(email, 'scheduled_at'), at);
  END IF;
  IF email ->> 'expires_at' IS NOT NULL THEN
    expires := postlane.time_field(email, 'expires_at');
    IF expires <= due THEN
      RAISE EXCEPTION 'field "expires_at" is not after the time of sending' USING COLUMN = 'expires_at', ERRCODE = 'PL006',
        HINT = 'Give a later expires_at, or none: the lane''s time to live holds anyway.';
    END IF;
  END IF;
END
$$;

-- The long way through the rules: what an email says in the mail itself, whom it goes to and when, or what is wrong with it.
CREATE FUNCTION postlane.check_email(
  email jsonb, at timestamptz, OUT content jsonb, OUT recipients text[], OUT due timestamptz, OUT expires timestamptz,
  OUT octets bytea[]
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  recipients_max    CONSTANT integer := 50;
  email_bytes_max   CONSTANT integer := 10485760;
  subject_chars_max CONSTANT integer := 998;
  fields            CONSTANT text[] := ARRAY['from', 'to', 'cc', 'bcc', 'reply_to', 'subject', 'text', 'html', 'headers',
    'attachments', 'tags', 'lane', 'list', 'scheduled_at', 'expires_at', 'metadata', 'idempotency_key', 'template'];
  -- Not in the mail itself, or not as they are given.
  envelope_fields   CONSTANT text[] := ARRAY['bcc', 'lane', 'scheduled_at', 'expires_at', 'metadata',
    'idempotency_key', 'template'];
  email_bytes integer;
BEGIN
  IF jsonb_typeof(email) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'an email is a JSON object' USING ERRCODE = 'PL001',
      HINT = 'For example {"to": "ann@example.com", "subject": "Hello", "text": "Hello Ann"}.';
  END IF;
  IF email - fields <> '{}' THEN
    RAISE EXCEPTION 'unknown field "%"', (SELECT left(min(field), 100) FROM jsonb_object_keys(email - fields) AS field)
      USING COLUMN = (SELECT left(min(field), 100) FROM jsonb_object_keys(email - fields) AS field), ERRCODE = 'PL001', HINT = 'Known: ' || array_to_string(fields, ', ') || '.';
  END IF;
  IF jsonb_typeof(email -> 'subject') <> 'string' OR jsonb_typeof(email -> 'text') <> 'string'
    OR jsonb_typeof(email -> 'html') <> 'string' OR jsonb_typeof(email -> 'lane') <> 'string'
    OR jsonb_typeof(email -> 'scheduled_at') <> 'string' OR jsonb_typeof(email -> 'expires_at') <> 'string'
    OR jsonb_typeof(email -> 'idempotency_key') <> 'string'
    OR concat(email ->> 'subject', email ->> 'lane', email ->> 'idempotency_key') ~ '[\u0001-\u001f\u007f]' THEN
    PERFORM postlane.refuse_text_fields(email);
  END IF;

  content := email - envelope_fields - 'attachments';
  -- Values made here are neither compressed nor stored elsewhere, as the argument may be: their size is what they have.
  email_bytes := pg_column_size(content) + coalesce(pg_column_size(email -> 'metadata'), 0)
    + coalesce(pg_column_size(email -> 'template'), 0);
  IF email_bytes > email_bytes_max THEN
    RAISE EXCEPTION 'the email has % bytes, at most % are taken', email_bytes, email_bytes_max
      USING ERRCODE = 'PL004', HINT = 'Link to large content instead of sending it.';
  END IF;

  -- One plain address, the commonest of all, or any list of mailboxes.
  IF jsonb_typeof(email -> 'to') = 'string' AND postlane.address_problem(email ->> 'to') IS NULL
    AND NOT email ?| ARRAY['cc', 'bcc'] THEN
    recipients := ARRAY[email ->> 'to'];
    content := content || jsonb_build_object('to', recipients);
  ELSE
    DECLARE
      send_to       text[] := postlane.mailbox_list(email, 'to', recipients_max);
      copy_to       text[] := postlane.mailbox_list(email, 'cc', recipients_max);
      blind_copy_to text[] := postlane.mailbox_list(email, 'bcc', recipients_max);
    BEGIN
      IF cardinality(send_to) = 0 THEN
        RAISE EXCEPTION 'field "to" is missing' USING COLUMN = 'to', ERRCODE = 'PL002', HINT = 'Give at least one address in "to".';
      END IF;
      -- One message per recipient, whichever list names it.
      recipients := postlane.distinct_addresses(send_to || copy_to || blind_copy_to);
      IF cardinality(recipients) > recipients_max THEN
        RAISE EXCEPTION 'the email has % recipients, at most % are taken', cardinality(recipients), recipients_max
          USING COLUMN = 'to', ERRCODE = 'PL004', HINT = 'Use postlane.enqueue_many, one email for each.';
      END IF;
      content := content || jsonb_build_object('to', send_to, 'cc', nullif(copy_to, '{}'));
    END;
  END IF;
  IF email ? 'from' AND (jsonb_typeof(email -> 'from') <> 'string'
    OR postlane.mailbox_problem(email ->> 'from') IS NOT NULL) THEN
    content := content || jsonb_build_object('from', (postlane.mailbox_list(email, 'from', 1))[1]);
  END IF;
  IF email ? 'reply_to' THEN
    content := content || jsonb_build_object('reply_to',
      nullif(postlane.mailbox_list(email, 'reply_to', recipients_max), '{}'));
  END IF;

  IF email ->> 'template' IS NOT NULL THEN
    IF coalesce(email ->> 'text', email ->> 'html') IS NOT NULL THEN
      RAISE EXCEPTION 'the email has a template, and "text" or "html" beside it' USING COLUMN = 'template',
        ERRCODE = 'PL001', HINT = 'Give one or the other.';
    END IF;
  ELSIF coalesce(email ->> 'text', email ->> 'html') IS NULL THEN
    RAISE EXCEPTION 'the email has neither "text" nor "html"' USING COLUMN = 'text', ERRCODE = 'PL001', HINT = 'Give one of them, or both, or a template.';
  END IF;
  IF length(email ->> 'subject') > subject_chars_max THEN
    RAISE EXCEPTION 'the subject has more than % characters', subject_chars_max USING COLUMN = 'subject', ERRCODE = 'PL004',
      HINT = 'Shorten it.';
  END IF;
  IF jsonb_typeof(email -> 'headers') <> 'null' THEN
    PERFORM postlane.check_headers(email -> 'headers');
  END IF;
  IF jsonb_typeof(email -> 'tags') <> 'null' THEN
    PERFORM postlane.check_tags(email -> 'tags');
  END IF;
  IF jsonb_typeof(email -> 'attachments') <> 'null' AND email -> 'attachments' <> '[]' THEN
    SELECT content || jsonb_build_object('attachments', checked.said), checked.octets INTO content, octets
      FROM postlane.check_attachments(email -> 'attachments') AS checked;
  END IF;
  -- src/mail/list-name.ts says the same.
  IF email -> 'list' IS NOT NULL AND email -> 'list' <> 'null'
    AND (jsonb_typeof(email -> 'list') <> 'string' OR email ->> 'list' !~ '^[A-Za-z0-9._-]{1,64}$') THEN
    RAISE EXCEPTION 'field "list" is not the name of a list' USING COLUMN = 'list', ERRCODE = 'PL001',
      HINT = 'Give 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", such as "weekly-news".';
  END IF;
  IF jsonb_typeof(email -> 'metadata') NOT IN ('object', 'null') THEN
    RAISE EXCEPTION 'field "metadata" must be an object' USING COLUMN = 'metadata', ERRCODE = 'PL001', HINT = 'For example {"order": 4711}.';
  END IF;

  SELECT times.due, times.expires INTO due, expires FROM postlane.sending_times(email, at) AS times;
  content := jsonb_strip_nulls(content);
  IF email ->> 'template' IS NOT NULL THEN
    content := content || jsonb_build_object('template', postlane.template_of(email -> 'template'));
  END IF;
END
$$;

-- Takes one email into the caller's transaction. The credential is who submits: keys are unique within it.
--
-- What a plain email needs is one expression, and the rows are written here and not by place_submission. Where fifty sessions
-- take turns on two cores, each further expression and function costs more than its own time: what it needs has to come
-- into the cache again (measured: 1,650 checkouts a second became 2,050). What is large, or has a name or an address that is
-- not plain, goes the long way.
CREATE FUNCTION postlane.accept_email(email jsonb, door text, credential text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  at         timestamptz := clock_timestamp();
  content    jsonb;
  recipients text[];
  lane       record;
  due        timestamptz := at;
  expires    timestamptz;
  new_id     bigint;
  message_id bigint;
  recipient  text;
  earlier_id bigint;
  -- Of attachments; null: there are none.
  octets     bytea[];
BEGIN
  -- COMMIT means durable, also where the server or the role has it off; what is stronger is left as it is. A SET clause
  -- would end with the function, before the commit.
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  IF jsonb_typeof(email) = 'object'
    AND email - ARRAY['from', 'to', 'subject', 'text', 'html', 'lane', 'idempotency_key'] = '{}'
    AND octet_length(concat(email ->> 'text', email ->> 'html')) <= 1000000
    AND jsonb_typeof(email -> 'to') = 'string' AND postlane.address_problem(email ->> 'to') IS NULL
    AND (email -> 'from' IS NULL OR (jsonb_typeof(email -> 'from') = 'string' AND octet_length(email ->> 'from') <= 64
      AND strpos(email ->> 'from', '=?') = 0
      AND email ->> 'from' ~ '^(?:[A-Za-z0-9][A-Za-z0-9 _-]* <[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)+>|[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)+)$'))
    AND coalesce(jsonb_typeof(email -> 'subject'), 'string') = 'string'
    AND coalesce(jsonb_typeof(email -> 'text'), 'string') = 'string'
    AND coalesce(jsonb_typeof(email -> 'html'), 'string') = 'string' AND email ?| ARRAY['text', 'html']
    AND coalesce(jsonb_typeof(email -> 'lane'), 'string') = 'string'
    AND coalesce(jsonb_typeof(email -> 'idempotency_key'), 'string') = 'string'
    AND coalesce(length(email ->> 'subject'), 0) <= 998
    AND concat(email ->> 'subject', email ->> 'lane', email ->> 'idempotency_key') !~ '[\u0001-\u001f\u007f]'
  THEN
    recipients := ARRAY[email ->> 'to'];
    content := email - ARRAY['lane', 'idempotency_key'] || jsonb_build_object('to', recipients);
  ELSE
    SELECT checked.content, checked.recipients, checked.due, checked.expires, checked.octets
      INTO content, recipients, due, expires, octets
      FROM postlane.check_email(email, at) AS checked;
  END IF;

  -- Whether anybody at all is suppressed is asked here, so that it costs no query of its own.
  SELECT known.id, known.name, known.is_bulk, known.full_because,
      EXISTS (SELECT FROM postlane.suppression) AS may_be_suppressed INTO lane
    FROM postlane.lane AS known WHERE known.name = coalesce(email ->> 'lane', 'transactional');
  IF lane.id IS NULL THEN
    PERFORM postlane.lane_of(email ->> 'lane');
  END IF;
  new_id := nextval('postlane.content_id_seq');
  IF email ->> 'idempotency_key' IS NOT NULL THEN
    earlier_id := postlane.enqueue_once(email ->> 'idempotency_key',
      sha256(convert_to((email - 'idempotency_key')::text, 'UTF8')), new_id, door, credential);
    IF earlier_id IS NOT NULL THEN
      RETURN earlier_id;
    END IF;
  END IF;
  IF lane.full_because IS NOT NULL THEN
    PERFORM postlane.refuse_full_lane(postlane.lane_of(lane.name));
  END IF;
  IF octets IS NOT NULL THEN
    INSERT INTO postlane.attachment (content_id, place, octets)
      SELECT new_id, one.place, one.octets FROM unnest(octets) WITH ORDINALITY AS one (octets, place);
  END IF;
  IF lane.may_be_suppressed THEN
    PERFORM postlane.suppressed_among(recipients, ARRAY[content ->> 'list'], lane.is_bulk, due);
    IF FOUND THEN
      PERFORM postlane.place_submission(new_id, door, credential, nullif(email -> 'metadata', 'null'), content::json,
        NULL, recipients, lane.id, at, due, expires);
      RETURN new_id;
    END IF;
  END IF;

  INSERT INTO postlane.content (id, body) VALUES (new_id, content::json);
  INSERT INTO postlane.submission (id, door, credential, accepted_at, metadata)
    VALUES (new_id, door, credential, at, nullif(email -> 'metadata', 'null'));
  FOREACH recipient IN ARRAY recipients LOOP
    INSERT INTO postlane.message (submission_id, campaign_id, lane_id, content_id, recipient, accepted_at, expires_at)
      VALUES (new_id, 0, lane.id, new_id, recipient, at, expires)
      RETURNING id INTO message_id;
    INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
      VALUES (message_id, due, 0, (at AT TIME ZONE 'UTC')::date, lane.id,
        CASE WHEN due > at THEN 'scheduled' ELSE 'queued' END, postlane.destination_of(recipient));
  END LOOP;
  INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
    VALUES (lane.id, 0, (at AT TIME ZONE 'UTC')::date, CASE WHEN due > at THEN 'scheduled' ELSE 'queued' END,
      cardinality(recipients));
  RETURN new_id;
END
$$;

-- Takes one whole mail that came by SMTP into the caller's transaction. `envelope` is the door's own
-- (src/submission/submission.ts): `to`, `lane`, `expires_at`, `scheduled_at`, `metadata`, `idempotency_key` with
-- `fingerprint` (hex) and `key_kept_s`; and `mail`, an object that is kept as it is for whoever hands the mail over and
-- tells its sender what became of it.
CREATE FUNCTION postlane.accept_mail(envelope jsonb, raw bytea, door text, credential text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  mail_recipients_max CONSTANT integer := 1000;
  at         timestamptz := clock_timestamp();
  recipients text[] := ARRAY(SELECT jsonb_array_elements_text(envelope -> 'to'));
  recipient  text;
  lane       postlane.lane := postlane.lane_of(coalesce(envelope ->> 'lane', 'transactional'));
  due        timestamptz := at;
  expires    timestamptz;
  new_id     bigint := nextval('postlane.content_id_seq');
  earlier_id bigint;
BEGIN
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  IF cardinality(recipients) NOT BETWEEN 1 AND mail_recipients_max THEN
    RAISE EXCEPTION 'the mail has % recipients, 1 to % are taken', cardinality(recipients), mail_recipients_max
      USING ERRCODE = 'PL004', HINT = 'Send it to the others in another transaction.', COLUMN = 'to';
  END IF;
  FOREACH recipient IN ARRAY recipients LOOP
    IF postlane.address_problem(recipient) IS NOT NULL THEN
      RAISE EXCEPTION '% is not an address: %', quote_literal(left(recipient, 100)), postlane.address_problem(recipient)
        USING ERRCODE = 'PL002', HINT = 'Give local@domain.', COLUMN = 'to';
    END IF;
  END LOOP;
  recipients := postlane.distinct_addresses(recipients);
  IF envelope ?| ARRAY['scheduled_at', 'expires_at'] THEN
    SELECT times.due, times.expires INTO due, expires FROM postlane.sending_times(envelope, at) AS times;
  END IF;
  IF envelope ->> 'idempotency_key' IS NOT NULL THEN
    earlier_id := postlane.enqueue_once(envelope ->> 'idempotency_key', decode(envelope ->> 'fingerprint', 'hex'), new_id,
      door, credential, (envelope ->> 'key_kept_s')::float8 * interval '1 second');
    IF earlier_id IS NOT NULL THEN
      RETURN earlier_id;
    END IF;
  END IF;
  IF lane.full_because IS NOT NULL THEN
    PERFORM postlane.refuse_full_lane(lane);
  END IF;
  PERFORM postlane.place_submission(new_id, door, credential, envelope -> 'metadata', (envelope -> 'mail')::json, raw,
    recipients, lane.id, at, due, expires);
  IF envelope #> '{mail,notify}' IS NOT NULL THEN
    PERFORM postlane.remember_success_asked(new_id, envelope #> '{mail,notify}');
  END IF;
  RETURN new_id;
END
$$;

-- What the doors with a process in front have taken in meanwhile, in one transaction: each is accepted, or refused for
-- itself. Nearly always all are accepted; only when one is not, they are taken one by one, each behind a savepoint.
--
-- The octets of whole mails come one behind the other, so that they need not be written as text; an email has no length.
CREATE FUNCTION postlane.accept_group(
  given jsonb, octets bytea, lengths integer[], doors text[], credentials text[]
)
RETURNS TABLE (place integer, submission_id bigint, is_repeated boolean, code text, message text, hint text, field text)
LANGUAGE plpgsql AS $$
DECLARE
  emails       jsonb[] := ARRAY(SELECT jsonb_array_elements(given));
  starts       integer[] := ARRAY(
    SELECT 1 + coalesce(sum(length) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
    FROM unnest(lengths) WITH ORDINALITY AS one (length, n) ORDER BY n);
  accepted_ids bigint[] := '{}';
  -- What has a smaller id was there before.
  newest_id    bigint;
BEGIN
  newest_id := nextval('postlane.content_id_seq');
  BEGIN
    FOR i IN 1 .. cardinality(emails) LOOP
      accepted_ids[i] := CASE
        WHEN lengths[i] IS NULL THEN postlane.accept_email(emails[i], doors[i], credentials[i])
        ELSE postlane.accept_mail(emails[i], substr(octets, starts[i], lengths[i]), doors[i], credentials[i]) END;
    END LOOP;
    RETURN QUERY SELECT ordinality::integer, id, id <= newest_id, NULL, NULL, NULL, NULL
      FROM unnest(accepted_ids) WITH ORDINALITY AS accepted (id, ordinality);
    RETURN;
  EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE !~ '^PL00\d$' THEN
      RAISE;
    END IF;
  END;
  FOR i IN 1 .. cardinality(emails) LOOP
    place := i;
    BEGIN
      code := NULL; message := NULL; hint := NULL; field := NULL;
      submission_id := CASE
        WHEN lengths[i] IS NULL THEN postlane.accept_email(emails[i], doors[i], credentials[i])
        ELSE postlane.accept_mail(emails[i], substr(octets, starts[i], lengths[i]), doors[i], credentials[i]) END;
      is_repeated := submission_id <= newest_id;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT,
        field = COLUMN_NAME;
      IF code !~ '^PL00\d$' THEN
        RAISE;
      END IF;
      submission_id := NULL;
    END;
    RETURN NEXT;
  END LOOP;
END
$$;

-- The SQL door. Runs with the rights of the schema's owner, so that the site's role needs nothing but EXECUTE on it. Its
-- credential is the role that logged in, with a prefix: no role can be named so that it is a key, or another door. What
-- the session has set must not change what the rules mean: with standard_conforming_strings off, `\.` in a pattern would
-- be any character, and a line break pass for a part of an address.
CREATE FUNCTION postlane.enqueue(email jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
  RETURN 'sub_' || postlane.accept_email(email, 'sql', 'sql:' || session_user);
END
$$;

-- Many at once: all of them or, on the first that is refused, none. The ids come in the order of the list.
CREATE FUNCTION postlane.enqueue_many(emails jsonb) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
  emails_max CONSTANT integer := 10000;
  email jsonb;
  place integer := 0;
  said  text;
  code  text;
  hint  text;
  field text;
BEGIN
  IF jsonb_typeof(emails) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'enqueue_many takes a JSON array of emails' USING ERRCODE = 'PL001',
      HINT = 'For one email use postlane.enqueue.';
  END IF;
  IF jsonb_array_length(emails) > emails_max THEN
    RAISE EXCEPTION 'enqueue_many was given % emails, at most % are taken', jsonb_array_length(emails), emails_max
      USING ERRCODE = 'PL004', HINT = 'Call it several times, in one transaction if they belong together.';
  END IF;
  FOR email IN SELECT jsonb_array_elements(emails) LOOP
    RETURN NEXT 'sub_' || postlane.accept_email(email, 'sql', 'sql:' || session_user);
    place := place + 1;
  END LOOP;
EXCEPTION WHEN SQLSTATE 'PL001' OR SQLSTATE 'PL002' OR SQLSTATE 'PL003' OR SQLSTATE 'PL004' OR SQLSTATE 'PL005'
  OR SQLSTATE 'PL006' OR SQLSTATE 'PL009' THEN
  GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, code = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT, field = COLUMN_NAME;
  RAISE EXCEPTION 'emails[%]: %', place, said USING ERRCODE = code, HINT = hint, COLUMN = field;
END
$$;
-- A role of the site gets USAGE on the schema and EXECUTE on what it calls; the rest is the owner's.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA postlane FROM PUBLIC;
GRANT EXECUTE ON FUNCTION postlane.contract_version() TO PUBLIC;
