"""Who has an e-mail address? Rows beside the documents, which the database keeps itself.

Triggers keep them, so that they are right whoever writes a document: also the version before this
one, while machines are upgraded one after the other.
"""

TABLE = "user_emails"

_FOUND_ON_SQLITE = """
    INSERT OR IGNORE INTO user_emails (user_id, email_folded)
    SELECT {user}.id, folded(json_extract(entry.value, '$.value'))
    FROM {source}json_each({user}.document, '$.emails') AS entry
    WHERE entry.type = 'object' AND json_extract(entry.value, '$.value') IS NOT NULL"""

_FOUND_ON_POSTGRESQL = """
    INSERT INTO user_emails (user_id, email_folded)
    SELECT {user}.id, folded(entry ->> 'value')
    FROM {source}json_array_elements(
      CASE json_typeof({user}.document -> 'emails') WHEN 'array' THEN {user}.document -> 'emails'
      ELSE '[]' END) AS entry
    WHERE json_typeof(entry) = 'object' AND entry ->> 'value' IS NOT NULL
    ON CONFLICT DO NOTHING"""

_SQLITE = (
    f"""CREATE TRIGGER user_emails_begin AFTER INSERT ON users BEGIN
    {_FOUND_ON_SQLITE.format(user="NEW", source="")};
END""",
    f"""CREATE TRIGGER user_emails_change AFTER UPDATE OF document ON users
WHEN json_extract(OLD.document, '$.emails') IS NOT json_extract(NEW.document, '$.emails') BEGIN
    DELETE FROM user_emails WHERE user_id = NEW.id;
    {_FOUND_ON_SQLITE.format(user="NEW", source="")};
END""",  # noqa: S608
    """CREATE TRIGGER user_emails_end AFTER DELETE ON users BEGIN
    DELETE FROM user_emails WHERE user_id = OLD.id;
END""",
)

_POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION keep_user_emails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (OLD.document -> 'emails')::text
    IS NOT DISTINCT FROM (NEW.document -> 'emails')::text THEN
    RETURN NULL;
  END IF;
  IF TG_OP != 'INSERT' THEN
    DELETE FROM user_emails WHERE user_id = OLD.id;
  END IF;
  IF TG_OP != 'DELETE' THEN
    {_FOUND_ON_POSTGRESQL.format(user="NEW", source="")};
  END IF;
  RETURN NULL;
END $$""",  # noqa: S608
    "CREATE TRIGGER user_emails_kept AFTER INSERT OR DELETE OR UPDATE OF document ON users "
    "FOR EACH ROW EXECUTE FUNCTION keep_user_emails()",
)

# By the name of the dialect.
TRIGGERS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
# For a database that has people already.
FILL = {
    "sqlite": _FOUND_ON_SQLITE.format(user="users", source="users, "),
    "postgresql": _FOUND_ON_POSTGRESQL.format(user="users", source="users, "),
}
