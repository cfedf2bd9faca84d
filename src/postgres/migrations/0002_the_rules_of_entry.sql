-- The rules of entry, once, for every door: the SQL door has no process in front of it. docs/reference/sql.md is the
-- contract; a change that breaks a caller raises contract_version.
--
-- Nothing here takes a lock that another transaction of the site could wait for: no NOTIFY, no shared row. Only the
-- same idempotency key twice at the same time waits, since it is the same submission.

CREATE FUNCTION postlane.contract_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';

-- Why a text cannot be a recipient's address, or null when it can. src/mail/address.ts says the same; a test compares.
CREATE FUNCTION postlane.address_problem(address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    -- What nearly every address is, in one look.
    WHEN octet_length(address) <= 254
      AND address ~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$'
      AND octet_length(split_part(address, '@', 1)) <= 64
      AND address !~ '@(.*\.)?[^.]{64}'
      THEN NULL
    WHEN address IS NULL OR address = '' THEN 'no address'
    WHEN position('@' IN address) = 0 THEN 'no @'
    WHEN address ~ '^@' THEN 'local part is empty'
    WHEN octet_length(substring(address FROM '^(.*)@')) > 64 THEN 'local part is longer than 64 octets'
    WHEN octet_length(substring(address FROM '@([^@]*)$')) > 253 THEN 'domain is longer than 253 octets'
    WHEN octet_length(address) > 254 THEN 'address is longer than 254 octets'
    WHEN address ~ '[\u0001-\u0020"(),:;<>\[\\\]\u007f-\u00a0\u2028\u2029]' OR address ~ '@.*@'
      THEN 'a character that an address cannot have'
    WHEN address ~ '^\.|\.\.|\.@' AND substring(address FROM '^(.*)@') ~ '^\.|\.\.|\.$' THEN 'dots in the local part'
    WHEN substring(address FROM '@([^@]*)$') !~ '\.' THEN 'the domain has fewer than two labels'
    WHEN substring(address FROM '@([^@]*)$') !~ '^([A-Za-z0-9\u00a1-\U0010ffff]([A-Za-z0-9\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?\.)+[A-Za-z0-9\u00a1-\U0010ffff]([A-Za-z0-9\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?$'
      OR substring(address FROM '@([^@]*)$') ~ '[^.]{64}'
      THEN 'the domain has a bad label'
  END
$$;

-- `Ann <ann@example.com>` or `ann@example.com` → the address.
CREATE FUNCTION postlane.mailbox_address(mailbox text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN mailbox ~ '>\s*$' THEN substring(mailbox FROM '<([^<>]*)>\s*$') ELSE btrim(mailbox) END
$$;

CREATE FUNCTION postlane.destination_of(address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT lower(substring(address FROM '@([^@]*)$'))
$$;

-- COMMIT means durable, also where the server or the role has it off; `on` and `remote_apply` are left as they are.
CREATE FUNCTION postlane.require_durable_commit() RETURNS void LANGUAGE sql AS $$
  SELECT set_config('synchronous_commit', 'on', true)
  WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
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
  ELSIF jsonb_typeof(given) = 'array' AND NOT jsonb_path_exists(given, '$[*] ? (@.type() != "string")') THEN
    SELECT coalesce(array_agg(element), '{}') INTO mailboxes FROM jsonb_array_elements_text(given) AS element;
  ELSE
    RAISE EXCEPTION 'field "%" must be a string or a list of strings', field
      USING ERRCODE = 'PL001', HINT = 'For example "ann@example.com" or ["Ann <ann@example.com>"].';
  END IF;
  IF cardinality(mailboxes) > mailboxes_max THEN
    RAISE EXCEPTION 'field "%" has % mailboxes, at most % are taken', field, cardinality(mailboxes), mailboxes_max
      USING ERRCODE = 'PL004', HINT = 'For mail to many people use postlane.enqueue_many, one email for each.';
  END IF;
  FOREACH mailbox IN ARRAY mailboxes LOOP
    IF mailbox ~ '[\u0001-\u001f\u007f]' THEN
      problem := 'a control character';
    ELSE
      problem := postlane.address_problem(postlane.mailbox_address(mailbox));
    END IF;
    IF problem IS NOT NULL THEN
      RAISE EXCEPTION 'field "%": % is not an address: %', field, quote_literal(left(mailbox, 100)), problem
        USING ERRCODE = 'PL002', HINT = 'Give "local@domain" or "Name <local@domain>".';
    END IF;
  END LOOP;
  RETURN mailboxes;
END
$$;

-- A field that is a text, or null. Header texts may hold no control characters: they are refused, never cleaned.
CREATE FUNCTION postlane.text_field(email jsonb, field text, is_header boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  given jsonb := email -> field;
BEGIN
  IF given IS NULL OR given = 'null' THEN
    RETURN NULL;
  END IF;
  IF jsonb_typeof(given) <> 'string' THEN
    RAISE EXCEPTION 'field "%" must be a string, not %', field, jsonb_typeof(given) USING ERRCODE = 'PL001',
      HINT = 'Give the field as a JSON string, or leave it out.';
  END IF;
  IF is_header AND given #>> '{}' ~ '[\u0001-\u001f\u007f]' THEN
    RAISE EXCEPTION 'field "%" holds a control character, which no header can', field
      USING ERRCODE = 'PL001', HINT = 'Remove line breaks and other control characters.';
  END IF;
  RETURN given #>> '{}';
END
$$;

CREATE FUNCTION postlane.time_field(email jsonb, field text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
  given text := postlane.text_field(email, field, true);
BEGIN
  RETURN given::timestamptz;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR invalid_parameter_value THEN
  RAISE EXCEPTION 'field "%": % is not a time', field, quote_literal(left(given, 100))
    USING ERRCODE = 'PL006', HINT = 'Give ISO 8601 with a zone, such as "2027-01-31T09:00:00Z".';
END
$$;

CREATE FUNCTION postlane.check_headers(headers jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  header record;
BEGIN
  IF jsonb_typeof(headers) <> 'object' THEN
    RAISE EXCEPTION 'field "headers" must be an object of strings' USING ERRCODE = 'PL001',
      HINT = 'For example {"X-Order": "4711"}.';
  END IF;
  FOR header IN SELECT key, value FROM jsonb_each(headers) LOOP
    IF header.key !~ '^[!-9;-~]{1,76}$' THEN
      RAISE EXCEPTION 'headers: % is not a header name', quote_literal(left(header.key, 100)) USING ERRCODE = 'PL001',
        HINT = 'A name has 1 to 76 printable ASCII characters and no colon.';
    END IF;
    IF lower(header.key) ~ '^(from|to|cc|bcc|reply-to|sender|subject|date|message-id|mime-version|return-path|received|dkim-signature|authentication-results|(arc|content|resent)-.*)$' THEN
      RAISE EXCEPTION 'headers: % is written by Postlane', quote_literal(header.key) USING ERRCODE = 'PL001',
        HINT = 'Use the field of that name, or leave it out.';
    END IF;
    IF jsonb_typeof(header.value) <> 'string' OR header.value #>> '{}' ~ '[\u0001-\u001f\u007f]' THEN
      RAISE EXCEPTION 'headers: the value of % is not a string without control characters', quote_literal(header.key)
        USING ERRCODE = 'PL001', HINT = 'Remove line breaks and other control characters.';
    END IF;
  END LOOP;
END
$$;

-- Takes one email into the caller's transaction. Inserts a submission, its content, and per recipient a message with
-- its row in the queue and its entry in the books.
CREATE FUNCTION postlane.accept_email(email jsonb, door text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  recipients_max    CONSTANT integer := 50;
  email_bytes_max   CONSTANT integer := 10485760;
  subject_chars_max CONSTANT integer := 998;
  key_chars_max     CONSTANT integer := 256;
  at            timestamptz := clock_timestamp();
  unknown_field text;
  lane_name     text;
  the_lane_id   smallint;
  senders       text[];
  send_to       text[];
  copy_to       text[];
  blind_copy_to text[];
  reply_to      text[];
  recipients    text[];
  idempotent_key text;
  email_print   bytea;
  earlier       record;
  due           timestamptz;
  expires       timestamptz;
  first_state   text;
  new_id        bigint;
BEGIN
  PERFORM postlane.require_durable_commit();

  IF jsonb_typeof(email) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'an email is a JSON object' USING ERRCODE = 'PL001',
      HINT = 'For example {"to": "ann@example.com", "subject": "Hello", "text": "Hello Ann"}.';
  END IF;
  IF octet_length(email::text) > email_bytes_max THEN
    RAISE EXCEPTION 'the email has % bytes, at most % are taken', octet_length(email::text), email_bytes_max
      USING ERRCODE = 'PL004', HINT = 'Link to large content instead of sending it.';
  END IF;
  SELECT field INTO unknown_field FROM jsonb_object_keys(email) AS field
    WHERE field NOT IN ('from', 'to', 'cc', 'bcc', 'reply_to', 'subject', 'text', 'html', 'headers', 'tags', 'lane',
      'scheduled_at', 'expires_at', 'metadata', 'idempotency_key') LIMIT 1;
  IF unknown_field IS NOT NULL THEN
    RAISE EXCEPTION 'unknown field "%"', unknown_field USING ERRCODE = 'PL001', HINT =
      'Known: from, to, cc, bcc, reply_to, subject, text, html, headers, tags, lane, scheduled_at, expires_at, metadata, idempotency_key.';
  END IF;

  senders := postlane.mailbox_list(email, 'from', 1);
  send_to := postlane.mailbox_list(email, 'to', recipients_max);
  copy_to := postlane.mailbox_list(email, 'cc', recipients_max);
  blind_copy_to := postlane.mailbox_list(email, 'bcc', recipients_max);
  reply_to := postlane.mailbox_list(email, 'reply_to', recipients_max);
  IF cardinality(send_to) = 0 THEN
    RAISE EXCEPTION 'field "to" is missing' USING ERRCODE = 'PL002', HINT = 'Give at least one address in "to".';
  END IF;
  -- One message per recipient, whichever list names it, and one only.
  SELECT array_agg(address ORDER BY ordinal) INTO recipients FROM (
    SELECT DISTINCT ON (lower(postlane.mailbox_address(mailbox))) postlane.mailbox_address(mailbox) AS address, ordinal
    FROM unnest(send_to || copy_to || blind_copy_to) WITH ORDINALITY AS given(mailbox, ordinal)
    ORDER BY lower(postlane.mailbox_address(mailbox)), ordinal
  ) AS distinct_recipient;
  IF cardinality(recipients) > recipients_max THEN
    RAISE EXCEPTION 'the email has % recipients, at most % are taken', cardinality(recipients), recipients_max
      USING ERRCODE = 'PL004', HINT = 'Use postlane.enqueue_many, one email for each.';
  END IF;

  IF coalesce(postlane.text_field(email, 'text', false), postlane.text_field(email, 'html', false)) IS NULL THEN
    RAISE EXCEPTION 'the email has neither "text" nor "html"' USING ERRCODE = 'PL001', HINT = 'Give one of them, or both.';
  END IF;
  IF length(postlane.text_field(email, 'subject', true)) > subject_chars_max THEN
    RAISE EXCEPTION 'the subject has more than % characters', subject_chars_max USING ERRCODE = 'PL004',
      HINT = 'Shorten it.';
  END IF;
  IF email ? 'headers' AND email -> 'headers' <> 'null' THEN
    PERFORM postlane.check_headers(email -> 'headers');
  END IF;
  IF jsonb_typeof(email -> 'metadata') NOT IN ('object', 'null') THEN
    RAISE EXCEPTION 'field "metadata" must be an object' USING ERRCODE = 'PL001', HINT = 'For example {"order": 4711}.';
  END IF;

  lane_name := coalesce(postlane.text_field(email, 'lane', true), 'transactional');
  SELECT id INTO the_lane_id FROM postlane.lane WHERE name = lane_name;
  IF the_lane_id IS NULL THEN
    RAISE EXCEPTION 'there is no lane %', quote_literal(lane_name) USING ERRCODE = 'PL003', HINT =
      'Lanes: ' || (SELECT string_agg(name, ', ' ORDER BY id) FROM postlane.lane) || '. More are made in postlane.yaml.';
  END IF;

  due := greatest(postlane.time_field(email, 'scheduled_at'), at);
  expires := postlane.time_field(email, 'expires_at');
  IF expires <= due THEN
    RAISE EXCEPTION 'field "expires_at" is not after the time of sending' USING ERRCODE = 'PL006',
      HINT = 'Give a later expires_at, or none: the lane''s time to live holds anyway.';
  END IF;
  first_state := CASE WHEN due > at THEN 'scheduled' ELSE 'queued' END;

  new_id := nextval(pg_get_serial_sequence('postlane.content', 'id'));
  idempotent_key := postlane.text_field(email, 'idempotency_key', true);
  IF idempotent_key IS NOT NULL THEN
    IF length(idempotent_key) NOT BETWEEN 1 AND key_chars_max THEN
      RAISE EXCEPTION 'field "idempotency_key" has % characters', length(idempotent_key) USING ERRCODE = 'PL004',
        HINT = format('Give 1 to %s characters.', key_chars_max);
    END IF;
    email_print := sha256(convert_to((email - 'idempotency_key')::text, 'UTF8'));
    INSERT INTO postlane.idempotency_key (credential, key, fingerprint, submission_id)
      VALUES (session_user, idempotent_key, email_print, new_id) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT used.submission_id, used.fingerprint INTO earlier FROM postlane.idempotency_key AS used
        WHERE used.credential = session_user AND used.key = idempotent_key;
      IF earlier.fingerprint = email_print THEN
        RETURN earlier.submission_id;
      END IF;
      RAISE EXCEPTION 'idempotency key % was used for another email', quote_literal(idempotent_key)
        USING ERRCODE = 'PL005', HINT = 'A key names one submission for ever: use a new one for new content.';
    END IF;
  END IF;

  INSERT INTO postlane.content (id, body) VALUES (new_id, json_strip_nulls(json_build_object(
    'from', senders[1], 'to', to_json(send_to), 'cc', to_json(nullif(copy_to, '{}')),
    'reply_to', to_json(nullif(reply_to, '{}')), 'subject', email -> 'subject', 'text', email -> 'text',
    'html', email -> 'html', 'headers', email -> 'headers', 'tags', email -> 'tags')));
  INSERT INTO postlane.submission (id, door, credential, accepted_at, metadata)
    VALUES (new_id, accept_email.door, session_user, at, nullif(email -> 'metadata', 'null'));
  WITH copy AS (
    INSERT INTO postlane.message (submission_id, campaign_id, lane_id, content_id, recipient, accepted_at, expires_at)
      SELECT new_id, 0, the_lane_id, new_id, recipient, at, expires FROM unnest(recipients) AS recipient
      RETURNING id, recipient
  )
  INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
    SELECT id, due, 0, (at AT TIME ZONE 'UTC')::date, the_lane_id, first_state, postlane.destination_of(recipient)
    FROM copy;
  INSERT INTO postlane.balance_delta
    VALUES (the_lane_id, 0, (at AT TIME ZONE 'UTC')::date, first_state, cardinality(recipients));
  RETURN new_id;
END
$$;

-- The SQL door. Runs with the rights of the schema's owner, so that the site's role needs nothing but EXECUTE on it.
CREATE FUNCTION postlane.enqueue(email jsonb) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'sub_' || postlane.accept_email(email, 'sql')
$$;

-- Many at once: all of them or, on the first that is refused, none. The ids come in the order of the list.
CREATE FUNCTION postlane.enqueue_many(emails jsonb) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  emails_max CONSTANT integer := 10000;
  position integer := 0;
  email jsonb;
  said text;
  hint text;
BEGIN
  IF jsonb_typeof(emails) IS DISTINCT FROM 'array' OR jsonb_array_length(emails) > emails_max THEN
    RAISE EXCEPTION 'enqueue_many takes a JSON array of at most % emails', emails_max USING ERRCODE = 'PL004',
      HINT = 'Call it several times, in one transaction if they belong together.';
  END IF;
  FOR email IN SELECT element FROM jsonb_array_elements(emails) AS element LOOP
    RETURN NEXT 'sub_' || postlane.accept_email(email, 'sql');
    position := position + 1;
  END LOOP;
EXCEPTION WHEN SQLSTATE 'PL001' OR SQLSTATE 'PL002' OR SQLSTATE 'PL003' OR SQLSTATE 'PL004' OR SQLSTATE 'PL005'
  OR SQLSTATE 'PL006' THEN
  GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RAISE EXCEPTION 'email %: %', position, said USING ERRCODE = SQLSTATE, HINT = hint;
END
$$;

REVOKE ALL ON FUNCTION postlane.enqueue(jsonb), postlane.enqueue_many(jsonb) FROM PUBLIC;

-- One chunk of a list, which the caller has copied into pg_temp.import_row (line, recipient, data), becomes messages
-- of a campaign. Rows that cannot be mailed and rows that the campaign has already are left out. Answers how many were
-- added.
CREATE FUNCTION postlane.accept_recipients(the_campaign_id integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  campaign record;
  at timestamptz := clock_timestamp();
  added bigint;
BEGIN
  PERFORM postlane.require_durable_commit();
  SELECT c.lane_id, c.content_id INTO STRICT campaign FROM postlane.campaign AS c WHERE c.id = the_campaign_id;
  -- A row's due time is its place in the list, so that a destination's rows have an order, and claims a cursor.
  WITH copy AS (
    INSERT INTO postlane.message (campaign_id, lane_id, content_id, recipient, data, accepted_at)
      SELECT the_campaign_id, campaign.lane_id, campaign.content_id, given.recipient, given.data, at
      FROM pg_temp.import_row AS given WHERE postlane.address_problem(given.recipient) IS NULL
      ON CONFLICT (campaign_id, lower(recipient)) WHERE campaign_id <> 0 DO NOTHING
      RETURNING id, recipient
  )
  INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
    SELECT copy.id, clock_timestamp(), the_campaign_id, (at AT TIME ZONE 'UTC')::date, campaign.lane_id, 'queued',
      postlane.destination_of(copy.recipient)
    FROM copy;
  GET DIAGNOSTICS added = ROW_COUNT;
  IF added > 0 THEN
    INSERT INTO postlane.balance_delta
      VALUES (campaign.lane_id, the_campaign_id, (at AT TIME ZONE 'UTC')::date, 'queued', added);
  END IF;
  RETURN added;
END
$$;
