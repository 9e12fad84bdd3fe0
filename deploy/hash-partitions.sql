-- Turns every table of users' data, of schema public and of schema analytics, into hash partitions by user_id.
--
-- In a maintenance window: stop the workers, take a backup, then, as the owner of the schema,
--
--     psql "$TRAINING_DATABASE_OWNER_URL" -v ON_ERROR_STOP=1 -f deploy/hash-partitions.sql
--
-- and start the workers. They need no setting. There are 8 partitions of each table, in a schema `partitions` of their
-- own; for another number put PGOPTIONS='-c training.partitions=16' before the command. It is one transaction: all
-- tables are locked until it ends, and where it fails nothing has changed. Every row is written anew, so it needs as
-- much free space as these tables take. Run again it does nothing, but for tables that a later version has added.
--
-- A table is turned if its primary key begins with user_id. The others stay: the catalogue, which is nobody's; the log
-- (outbox) and the requests, which are partitioned by month; what the relay, the fold, archives and erasures keep of
-- themselves. Columns, defaults, comments, constraints, indexes, foreign keys, triggers, storage parameters and rights are
-- as they were, and the views upon the tables are made anew.
--
-- Autovacuum analyses partitions, but not the tables that they make up: have `ANALYZE` run there now and then, weekly
-- say, and after large imports.

DO $$
DECLARE
    parts CONSTANT integer := coalesce(nullif(current_setting('training.partitions', true), ''), '8');
    chosen oid[];
    views oid[];
    again text[] := '{}';  -- what puts back what stands on the tables, in order
    item record;
    statement text;
BEGIN
    SET LOCAL lock_timeout = '10s';
    SET LOCAL statement_timeout = 0;
    SET LOCAL search_path = pg_catalog;  -- definitions are told with the names of schemas

    SELECT array_agg(c.oid ORDER BY c.oid) INTO chosen FROM pg_class c
    WHERE c.relnamespace IN ('public'::regnamespace, 'analytics'::regnamespace)
      AND c.relkind = 'r' AND NOT c.relispartition AND c.relpersistence = 'p'
      AND EXISTS (
          SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
          WHERE k.conrelid = c.oid AND k.contype = 'p' AND a.attname = 'user_id');
    IF chosen IS NULL THEN
        RETURN;
    END IF;
    FOR item IN
        SELECT oid::regclass AS name FROM pg_class WHERE oid = ANY (chosen) AND pg_get_userbyid(relowner) <> current_user
    LOOP
        RAISE EXCEPTION '% belongs to another role: run this as the owner of the schema.', item.name;
    END LOOP;
    FOR item IN SELECT t.oid::regclass AS name FROM unnest(chosen) t (oid) LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', item.name);
    END LOOP;

    -- The views upon the tables, and upon these views, the lowest first.
    WITH RECURSIVE above AS (
        SELECT t.oid, 0 AS height FROM unnest(chosen) t (oid)
        UNION
        SELECT r.ev_class, above.height + 1
        FROM above
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = above.oid
            AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> above.oid
    )
    SELECT coalesce(array_agg(v.oid ORDER BY v.height, v.oid), '{}') INTO views
    FROM (SELECT oid, max(height) AS height FROM above WHERE height > 0 GROUP BY oid) v;

    SELECT again || coalesce(array_agg(
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
        ORDER BY k.oid
    ), '{}') INTO again
    FROM pg_constraint k WHERE k.conrelid = ANY (chosen) AND k.contype IN ('p', 'u');

    SELECT again || coalesce(array_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid), '{}') INTO again
    FROM pg_index i
    WHERE i.indrelid = ANY (chosen)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'));

    SELECT again || coalesce(array_agg(
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
        ORDER BY k.oid
    ), '{}') INTO again
    FROM pg_constraint k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY (chosen) OR k.confrelid = ANY (chosen));

    SELECT again || coalesce(array_agg(pg_get_triggerdef(t.oid) ORDER BY t.oid), '{}') INTO again
    FROM pg_trigger t WHERE t.tgrelid = ANY (chosen) AND NOT t.tgisinternal;

    SELECT again || coalesce(array_agg(
        format('CREATE VIEW %s%s AS %s', c.oid::regclass, ' WITH (' || array_to_string(c.reloptions, ', ') || ')',
               pg_get_viewdef(c.oid))
        ORDER BY v.place
    ), '{}') INTO again
    FROM unnest(views) WITH ORDINALITY v (oid, place) JOIN pg_class c ON c.oid = v.oid;

    -- Comments on the columns and checks of tables are copied with them.
    SELECT again || coalesce(array_agg(
        format('COMMENT ON %s IS %L', CASE
            WHEN d.classoid = 'pg_constraint'::regclass THEN (
                SELECT format('CONSTRAINT %I ON %s', k.conname, k.conrelid::regclass) FROM pg_constraint k
                WHERE k.oid = d.objoid)
            WHEN d.objsubid > 0 THEN format('COLUMN %s.%I', d.objoid::regclass, (
                SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.objoid AND a.attnum = d.objsubid))
            ELSE format('%s %s', CASE (SELECT c.relkind FROM pg_class c WHERE c.oid = d.objoid)
                WHEN 'i' THEN 'INDEX' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, d.objoid::regclass)
        END, d.description) ORDER BY d.objoid, d.objsubid
    ), '{}') INTO again
    FROM pg_description d
    WHERE d.classoid = 'pg_class'::regclass AND (
              d.objoid = ANY (views) OR d.objoid = ANY (chosen) AND d.objsubid = 0
              OR d.objoid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY (chosen)))
       OR d.classoid = 'pg_constraint'::regclass AND d.objoid IN (
              SELECT k.oid FROM pg_constraint k WHERE k.conrelid = ANY (chosen) AND k.contype <> 'c');

    SELECT again || coalesce(array_agg(
        format('GRANT %s ON TABLE %s TO %s%s', acl.privilege_type, c.oid::regclass,
               CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
               CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        ORDER BY c.oid, acl.grantee, acl.privilege_type
    ), '{}') INTO again
    FROM pg_class c, aclexplode(c.relacl) acl
    WHERE (c.oid = ANY (chosen) OR c.oid = ANY (views)) AND acl.grantee <> c.relowner;

    IF views <> '{}' THEN
        EXECUTE 'DROP VIEW ' || (SELECT string_agg(v.oid::regclass::text, ', ') FROM unnest(views) v (oid));
    END IF;
    FOR item IN
        SELECT k.conrelid::regclass AS owner, k.conname FROM pg_constraint k
        WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY (chosen)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.owner, item.conname);
    END LOOP;

    -- The old tables keep their names, and those of their indexes, in a schema that is removed with them.
    CREATE SCHEMA before_partitions;
    CREATE SCHEMA IF NOT EXISTS partitions;
    FOR item IN
        SELECT relname, oid::regclass::text AS name, ' WITH (' || array_to_string(reloptions, ', ') || ')' AS options
        FROM pg_class WHERE oid = ANY (chosen) ORDER BY oid
    LOOP
        EXECUTE format('ALTER TABLE %s SET SCHEMA before_partitions', item.name);
        EXECUTE format('CREATE TABLE %s (LIKE before_partitions.%I INCLUDING ALL EXCLUDING INDEXES) '
                       'PARTITION BY HASH (user_id)', item.name, item.relname);
        FOR part IN 0 .. parts - 1 LOOP
            EXECUTE format('CREATE TABLE partitions.%I PARTITION OF %s FOR VALUES WITH (MODULUS %s, REMAINDER %s)%s',
                           item.relname || '_' || part, item.name, parts, part, item.options);
        END LOOP;
        EXECUTE format('INSERT INTO %s SELECT * FROM before_partitions.%I', item.name, item.relname);
        EXECUTE format('DROP TABLE before_partitions.%I', item.relname);  -- fails where something still stands on it
        again := again || format('ANALYZE %s', item.name);
    END LOOP;
    DROP SCHEMA before_partitions;

    FOREACH statement IN ARRAY again LOOP
        EXECUTE statement;
    END LOOP;
END $$;
