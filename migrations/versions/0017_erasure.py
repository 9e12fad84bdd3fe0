"""Erasure: users who are refused for good, and what takes their rows out.

For who makes a table after this one (0018, 0019, …): `erase_user` looks the tables up in the catalogue when it runs, so
nothing has to be told to it. What it does with a table of schema public or analytics goes by its columns:

- `user_id uuid`: the user's rows are deleted, in batches; rows that hang on others by a foreign key first.
- `user_id` and `about_user uuid`: rows about the user (`about_user`, or else `user_id`) are deleted; of those about
  others `user_id` becomes NULL and `actor` 'erased'.
- `archived_trainings` is left alone: `storage.archives.erase` empties it, with the files.

A table into which rows of a user can come without a row of a table that has the trigger below being inserted by the
same transaction gets the trigger too (`TRIGGER.format(…)`). Or its statement leaves them out: `user_id <> ALL ((SELECT
erased(ARRAY[…]))::uuid[])`, whatever its snapshot, before or after it writes.
"""

from types import ModuleType
from typing import cast

from alembic import op
from alembic.script import ScriptDirectory

from storage.indexes import build_index

revision = "0017"
down_revision = "0016"

# A tombstone is HMAC-SHA-256 of the user's id. `training migrate` writes the key, as the two blocks that HMAC makes of
# it (RFC 2104).
TABLES = """
CREATE TABLE erasure_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    inner_block bytea NOT NULL CHECK (octet_length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (octet_length(outer_block) = 64)
);
COMMENT ON TABLE erasure_key IS 'What tombstones are made with; its owner alone may read it';
COMMENT ON COLUMN erasure_key.inner_block IS 'The key in 64 bytes, each XOR 0x36 (RFC 2104)';
COMMENT ON COLUMN erasure_key.outer_block IS 'The same, each XOR 0x5c';

CREATE TABLE tombstones (
    tombstone bytea PRIMARY KEY CHECK (octet_length(tombstone) = 32),
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tombstones IS 'Users who were erased: nothing of theirs is taken any more';
COMMENT ON COLUMN tombstones.tombstone IS 'HMAC-SHA-256 of the 16 bytes of the user''s id';

CREATE TABLE erasures (
    tombstone bytea PRIMARY KEY,
    user_id uuid,
    status text NOT NULL DEFAULT 'erasing' CHECK (status IN ('erasing', 'waiting', 'done')),
    counts jsonb NOT NULL DEFAULT '{}',
    horizon xid8,
    actors text[] NOT NULL DEFAULT '{}',
    failure text,
    event_seq bigint,
    lease text,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    published_at timestamptz,
    CHECK ((user_id IS NULL) = (status = 'done'))
);
CREATE INDEX erasures_waiting ON erasures (created_at) WHERE status <> 'done';
CREATE INDEX erasures_announced ON erasures (finished_at) WHERE event_seq IS NOT NULL;
COMMENT ON TABLE erasures IS 'Erasures, as jobs that any worker works off, and what became of them';
COMMENT ON COLUMN erasures.user_id IS 'Who is erased; NULL once that is done';
COMMENT ON COLUMN erasures.counts IS 'How many rows were deleted or changed so far, by table';
COMMENT ON COLUMN erasures.horizon IS
    'A transaction that began after the tombstone was there: who began later meets it, who began before is waited for';
COMMENT ON COLUMN erasures.actors IS
    'By which names the user acted for others, as found so far, for the archives; none once it is done';
COMMENT ON COLUMN erasures.failure IS 'Why it does not go on at present';
COMMENT ON COLUMN erasures.event_seq IS 'Place of its event in the log; NULL before, and once the grace is over';
COMMENT ON COLUMN erasures.lease IS 'The worker that works it off';
COMMENT ON COLUMN erasures.leased_until IS 'From when on another one may; NULL: now';
COMMENT ON COLUMN erasures.published_at IS 'When its event was seen to be published';

CREATE TABLE coached (
    coach_id uuid,
    user_id uuid,
    actor text,
    PRIMARY KEY (coach_id, user_id, actor)
);
COMMENT ON TABLE coached IS
    'Who planned for whom, by which name, where access_log tells no longer: by it an erased coach is found in the log';
"""

# The trigger's function has its owner's rights: workers write on before `training migrate` has granted them theirs.
# A tombstone is looked up by its key (a subquery: where the planner may choose a join, it reads the whole table), by a
# plan that is made once: planning takes longer than that.
# Whoever is told that a user is not erased has a transaction id by then: so that transaction is either among those that
# an erasure waits for, or sees the tombstone. Each statement of the function has a snapshot of its own for it, which is
# why the isolation level matters.
FUNCTIONS = """
CREATE FUNCTION tombstone(gone uuid) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made bytea := (SELECT sha256(k.outer_block || sha256(k.inner_block || uuid_send(gone))) FROM erasure_key k);
BEGIN
    IF made IS NULL THEN
        RAISE EXCEPTION 'there is no key for tombstones: run `training migrate`';
    END IF;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION tombstone(uuid) FROM PUBLIC;
COMMENT ON FUNCTION tombstone(uuid) IS 'What stands for a user who was erased';

CREATE FUNCTION erased(users uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM pg_current_xact_id();
    IF NOT EXISTS (SELECT FROM tombstones) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(
        SELECT u FROM unnest(users) u CROSS JOIN erasure_key k
        WHERE (SELECT true FROM tombstones t
               WHERE t.tombstone = sha256(k.outer_block || sha256(k.inner_block || uuid_send(u))))
    );
END $$;
REVOKE ALL ON FUNCTION erased(uuid[]) FROM PUBLIC;
COMMENT ON FUNCTION erased(uuid[]) IS 'Which of these users were erased';

CREATE FUNCTION refuse_erased() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    users uuid[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'users'' data is written at isolation level READ COMMITTED only';
    END IF;
    CASE TG_RELID
        WHEN 'outbox'::regclass THEN users := ARRAY(SELECT user_id FROM added WHERE event_type <> 'user_erased');
        WHEN 'access_log'::regclass THEN users := ARRAY(SELECT user_id FROM added UNION SELECT coach_id FROM added);
        ELSE users := ARRAY(SELECT user_id FROM added);
    END CASE;
    IF cardinality(erased(users)) > 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'TS003', MESSAGE = 'the user was erased';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION refuse_erased() FROM PUBLIC;
"""

# Every other table of a user's is written in the transaction of one of these, or under a row of one that `erase_user`
# takes out first. They are in the order in which statements lock them: the log last.
REFUSING = ("memberships", "imports", "access_log", "outbox_quarantine", "outbox")
TRIGGER = """
CREATE TRIGGER refuse_erased AFTER INSERT ON {} REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_erased();
"""
# A membership that is there may be changed by a statement that writes nothing else.
TRIGGER_OF_CHANGE = """
CREATE TRIGGER refuse_erased_change AFTER UPDATE ON memberships REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_erased();
"""

# Deletes up to `most` rows; `more` says that there may be others, `counts` how many went, by table. Rows that hang on
# others go before them; where somebody whom the tombstone came too late for hangs a new one on, the table is left for
# the next call. A mark goes first: whoever computes load and records by it has it locked until what is computed is
# there, and nobody can make a new one. Then memberships: no coach meets the user any more. Where the user was a coach,
# the athletes' logs keep what was done, and not by whom: the log of accesses tells which rows of the log these are, and
# `coached` where that log was purged (after it: the purge puts there what it takes). `actors` are the names met there.
ERASE = r"""
CREATE FUNCTION erase_user(gone uuid, most integer, OUT counts jsonb, OUT more boolean, OUT actors text[])
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    place record;
    athlete uuid;
    name_there text;
    names text[];
    theirs bytea := convert_to(gone::text, 'UTF8');
    found integer;
    places text[] := '{}';
    numbers integer[] := '{}';
BEGIN
    IF cardinality(erased(ARRAY[gone])) = 0 THEN
        RAISE EXCEPTION 'this user was not erased';
    END IF;
    -- As a fold locks them. A rebuild of the derived tables holds `users` first, and then the marks.
    LOCK TABLE analytics.users IN ROW EXCLUSIVE MODE;
    more := false;
    actors := '{}';
    FOR place IN
        WITH RECURSIVE owned AS (
            SELECT c.oid, EXISTS (
                SELECT FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attname = 'about_user'
            ) AS of_others
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace IN ('public'::regnamespace, 'analytics'::regnamespace)
              AND c.relkind IN ('r', 'p') AND NOT c.relispartition
              AND a.attname = 'user_id' AND a.atttypid = 'uuid'::regtype
              AND c.oid <> 'erasures'::regclass AND c.oid IS DISTINCT FROM to_regclass('archived_trainings')
        ), depths AS (
            SELECT oid, 0 AS depth FROM owned
            UNION ALL
            SELECT k.conrelid, d.depth + 1 FROM depths d JOIN pg_constraint k ON k.confrelid = d.oid
            WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid <> k.confrelid
        )
        SELECT oid::regclass::text AS name, of_others,
               CASE WHEN of_others THEN '(about_user = $1 OR user_id = $1 AND about_user IS NULL)'
                    WHEN oid = 'outbox'::regclass THEN 'user_id = $1 AND event_type <> ''user_erased'''
                    ELSE 'user_id = $1' END AS theirs
        FROM owned JOIN (SELECT oid, max(depth) AS depth FROM depths GROUP BY oid) d USING (oid)
        ORDER BY oid <> 'analytics.stale_users'::regclass, oid <> 'memberships'::regclass, depth DESC, name
    LOOP
        BEGIN
            EXECUTE format('DELETE FROM %1$s WHERE %2$s AND (tableoid, ctid) IN ('
                           'SELECT tableoid, ctid FROM %1$s WHERE %2$s LIMIT $2)', place.name, place.theirs)
            USING gone, most;
            GET DIAGNOSTICS found = ROW_COUNT;
            places := places || place.name;
            numbers := numbers || found;
            most := most - found;
        EXCEPTION WHEN foreign_key_violation THEN
            more := true;
        END;
        IF place.of_others AND most > 0 THEN
            EXECUTE format('UPDATE %1$s SET user_id = NULL, actor = ''erased'' WHERE (tableoid, ctid) IN ('
                           'SELECT tableoid, ctid FROM %1$s WHERE user_id = $1 LIMIT $2)', place.name)
            USING gone, most;
            GET DIAGNOSTICS found = ROW_COUNT;
            places := places || (place.name || '.user_id');
            numbers := numbers || found;
            most := most - found;
        END IF;
        EXIT WHEN most <= 0;
    END LOOP;
    WHILE most > 0 LOOP
        SELECT a.user_id INTO athlete FROM access_log a WHERE a.coach_id = gone LIMIT 1;
        EXIT WHEN athlete IS NULL;
        UPDATE outbox o SET actor = 'erased' FROM access_log a
        WHERE a.coach_id = gone AND a.user_id = athlete AND o.user_id = athlete AND o.request_id = a.request_id
          AND o.actor = a.actor;
        GET DIAGNOSTICS found = ROW_COUNT;
        places := places || ARRAY['outbox.actor', 'idempotency_keys', 'access_log.coach_id'];
        numbers := numbers || found;
        DELETE FROM idempotency_keys k USING access_log a
        WHERE a.coach_id = gone AND a.user_id = athlete AND k.user_id = athlete
          AND starts_with(k.route, a.actor || ' ');
        GET DIAGNOSTICS found = ROW_COUNT;
        numbers := numbers || found;
        WITH changed AS (
            UPDATE access_log SET coach_id = '00000000-0000-0000-0000-000000000000', actor = 'erased'
            WHERE coach_id = gone AND user_id = athlete
            RETURNING old.actor
        )
        SELECT count(*), array_agg(DISTINCT c.actor) INTO found, names FROM changed c;
        actors := actors || names;
        numbers := numbers || found;
        most := most - found;
    END LOOP;
    WHILE most > 0 LOOP
        DELETE FROM coached WHERE ctid = (SELECT c.ctid FROM coached c WHERE c.coach_id = gone LIMIT 1)
        RETURNING coached.user_id, coached.actor INTO athlete, name_there;
        EXIT WHEN athlete IS NULL;
        UPDATE outbox o SET actor = 'erased' WHERE o.user_id = athlete AND o.actor = name_there;
        GET DIAGNOSTICS found = ROW_COUNT;
        actors := actors || name_there;
        places := places || ARRAY['outbox.actor', 'coached'];
        numbers := numbers || ARRAY[found, 1];
        most := most - found - 1;
    END LOOP;
    DELETE FROM analytics.dead_letters WHERE key = theirs OR position(theirs IN value) > 0;
    GET DIAGNOSTICS found = ROW_COUNT;
    counts := coalesce((
        SELECT jsonb_object_agg(name, number) FROM (
            SELECT name, sum(number) AS number
            FROM unnest(places || 'analytics.dead_letters'::text, numbers || found) t (name, number)
            GROUP BY name HAVING sum(number) > 0
        ) by_name
    ), '{}');
    more := more OR most <= 0;
END $$;
REVOKE ALL ON FUNCTION erase_user(uuid, integer) FROM PUBLIC;
COMMENT ON FUNCTION erase_user(uuid, integer) IS 'Takes rows of a user who was erased out of every table';
COMMENT ON INDEX access_log_by_coach IS 'By which the rows of a coach who is erased are found';
"""

# A user who was erased and whose rows are here again, in a database that went back. The log's rows go at once: what of
# them was not published yet must not follow on the user's last event.
AGAIN = """
CREATE FUNCTION erase_again(gone uuid) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    mark bytea := tombstone(gone);
    found integer;
BEGIN
    INSERT INTO tombstones (tombstone) VALUES (mark) ON CONFLICT DO NOTHING;
    INSERT INTO erasures AS e (tombstone, user_id) VALUES (mark, gone)
    ON CONFLICT (tombstone) DO UPDATE
    SET user_id = gone, status = 'erasing', horizon = NULL, event_seq = NULL, finished_at = NULL, published_at = NULL;
    DELETE FROM outbox WHERE user_id = gone;
    GET DIAGNOSTICS found = ROW_COUNT;
    UPDATE erasures
    SET counts = jsonb_set(counts, '{outbox}', to_jsonb(coalesce((counts ->> 'outbox')::integer, 0) + found))
    WHERE tombstone = mark AND found > 0;
END $$;
REVOKE ALL ON FUNCTION erase_again(uuid) FROM PUBLIC;
COMMENT ON FUNCTION erase_again(uuid) IS 'Begins the erasure of a user anew, and takes the user''s rows of the log out';

CREATE FUNCTION forget_erasures(grace interval) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    found integer;
BEGIN
    IF NOT EXISTS (SELECT FROM erasures WHERE event_seq IS NOT NULL AND published_at <= now() - grace) THEN
        RETURN 0;
    END IF;
    WITH due AS (
        UPDATE erasures SET event_seq = NULL
        WHERE event_seq IS NOT NULL AND published_at <= now() - grace
        RETURNING old.event_seq
    )
    DELETE FROM outbox o USING due WHERE o.seq = due.event_seq AND o.event_type = 'user_erased';
    GET DIAGNOSTICS found = ROW_COUNT;
    RETURN found;
END $$;
REVOKE ALL ON FUNCTION forget_erasures(interval) FROM PUBLIC;
COMMENT ON FUNCTION forget_erasures(interval) IS 'Takes events of erasures out of the log, so long after they went out';
"""

# What `outbox_adopt` of 0015 says, and what it says of users who were erased: nothing of theirs is taken back, and
# where the topic tells of an erasure that the log has lost it begins anew.
ADOPTED = (
    ("    place bigint;\nBEGIN", "    place bigint;\n    gone uuid[];\nBEGIN"),
    (
        "    top := 0;\n",
        """    top := 0;
    PERFORM erase_again(said.user_id)
    FROM jsonb_to_recordset(records) AS said(event_id uuid, user_id uuid, event_type text)
    WHERE said.event_type = 'user_erased' AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.user_id = said.user_id AND o.event_id = said.event_id);
    gone := erased(ARRAY(SELECT DISTINCT said.user_id FROM jsonb_to_recordset(records) AS said(user_id uuid)));
""",
    ),
    ("        WHERE NOT EXISTS (\n", "        WHERE f.user_id <> ALL (gone) AND NOT EXISTS (\n"),
)


def upgrade() -> None:
    build_index("public", "access_log_by_coach", "access_log", "(coach_id)")
    triggers = [TRIGGER.format(table) for table in REFUSING]
    _run(TABLES, FUNCTIONS, ERASE, AGAIN, *triggers, TRIGGER_OF_CHANGE, _adopt())


def downgrade() -> None:
    _run(
        _before(),
        "DROP TRIGGER refuse_erased_change ON memberships",
        *(f"DROP TRIGGER refuse_erased ON {table}" for table in REFUSING),
        "DROP INDEX access_log_by_coach",
        "DROP FUNCTION refuse_erased(), forget_erasures(interval), erase_again(uuid), erase_user(uuid, integer), "
        "erased(uuid[]), tombstone(uuid)",
        "DROP TABLE coached, erasures, tombstones, erasure_key",
    )


def _run(*statements: str) -> None:
    connection, options = op.get_bind(), {"no_parameters": True}  # a text may hold a %
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options=options)


def _before() -> str:
    """What 0015 made."""
    migrations = cast("ScriptDirectory", op.get_context().script)
    module: ModuleType = migrations.get_revision("0015").module
    return str(module._adopt())


def _adopt() -> str:
    """`outbox_adopt`, with erasures. Raises `ValueError` where what it is made from is not as it was."""
    adopt = _before()
    for before, after in ADOPTED:
        if adopt.count(before) != 1:
            raise ValueError("outbox_adopt of 0015 has changed")
        adopt = adopt.replace(before, after)
    return adopt
