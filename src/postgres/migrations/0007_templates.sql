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

-- What an email's `template` means: the version that it names, or the latest, from now on; and the variables to fill it in
-- with. Refuses a template that is not there, and variables that leave out what it prints in any case.
CREATE FUNCTION postlane.template_of(given jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
  variables_bytes_max CONSTANT integer := 1000000;
  names_told          CONSTANT integer := 10;
  wanted    text[];
  variables jsonb;
  found     record;
  missing   text;
BEGIN
  IF jsonb_typeof(given) <> 'object' OR given - 'id' - 'variables' <> '{}'
    OR jsonb_typeof(given -> 'id') IS DISTINCT FROM 'string'
    OR jsonb_typeof(given -> 'variables') NOT IN ('object', 'null') THEN
    RAISE EXCEPTION 'field "template" must be an object with "id" and "variables"' USING COLUMN = 'template',
      ERRCODE = 'PL001', HINT = 'For example {"id": "welcome", "variables": {"name": "Ann"}}.';
  END IF;
  variables := coalesce(nullif(given -> 'variables', 'null'), '{}');
  IF pg_column_size(variables) > variables_bytes_max THEN
    RAISE EXCEPTION 'the variables have % bytes, at most % are taken', pg_column_size(variables), variables_bytes_max
      USING COLUMN = 'template', ERRCODE = 'PL004', HINT = 'Leave out what the template does not print.';
  END IF;
  wanted := coalesce(regexp_match(given ->> 'id', '^(.*)@(\d{1,9})$'), ARRAY[given ->> 'id', NULL]);
  SELECT t.name, t.version, t.content_id, t.required INTO found FROM postlane.template AS t
    WHERE t.name = wanted[1] AND (wanted[2] IS NULL OR t.version = wanted[2]::integer)
    ORDER BY t.version DESC LIMIT 1;
  IF found.name IS NULL THEN
    RAISE EXCEPTION 'there is no template %', quote_literal(left(given ->> 'id', 100)) USING COLUMN = 'template',
      ERRCODE = 'PL001', HINT = coalesce(
        'Templates: ' || (SELECT string_agg(name, ', ') FROM (
          SELECT DISTINCT t.name FROM postlane.template AS t ORDER BY t.name LIMIT names_told) AS first) || '. ', '')
        || '`postlane template push DIR` makes one.';
  END IF;
  SELECT string_agg(path, ', ') INTO missing FROM unnest(found.required) AS path
    WHERE coalesce(variables #> string_to_array(path, '.'), 'null') = 'null';
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'template % needs variables that are missing: %', quote_literal(found.name || '@' || found.version),
      left(missing, 1000) USING COLUMN = 'template', ERRCODE = 'PL001',
      HINT = 'Give them in template.variables, or give the template a default for them.';
  END IF;
  RETURN jsonb_build_object('id', found.name || '@' || found.version, 'content_id', found.content_id,
    'variables', variables);
END
$$;
REVOKE ALL ON FUNCTION postlane.template_of(jsonb) FROM PUBLIC;
