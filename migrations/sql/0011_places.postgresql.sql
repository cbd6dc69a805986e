CREATE OR REPLACE FUNCTION users_places_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM users_places;
    ELSIF TG_OP = 'INSERT' THEN
        WITH changes (bits, block, segment, amount) AS (
            SELECT size.bits, (new_rows.id >> size.bits), new_rows.segment, 1 FROM new_rows, (VALUES (16), (11)) AS size (bits)
        ), added AS (
            INSERT INTO users_places (bits, block, segment, amount)
            SELECT bits, block, segment, sum(amount) FROM changes GROUP BY bits, block, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSIF TG_OP = 'DELETE' THEN
        WITH changes (bits, block, segment, amount) AS (
            SELECT size.bits, (old_rows.id >> size.bits), old_rows.segment, -1 FROM old_rows, (VALUES (16), (11)) AS size (bits)
        ), added AS (
            INSERT INTO users_places (bits, block, segment, amount)
            SELECT bits, block, segment, sum(amount) FROM changes GROUP BY bits, block, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSE
        WITH changes (bits, block, segment, amount) AS (
            SELECT size.bits, (new_rows.id >> size.bits), new_rows.segment, 1 FROM new_rows, (VALUES (16), (11)) AS size (bits) UNION ALL SELECT size.bits, (old_rows.id >> size.bits), old_rows.segment, -1 FROM old_rows, (VALUES (16), (11)) AS size (bits)
        ), added AS (
            INSERT INTO users_places (bits, block, segment, amount)
            SELECT bits, block, segment, sum(amount) FROM changes GROUP BY bits, block, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    END IF;
    IF added IS NOT NULL AND random() < 0.1 THEN
        WITH gone AS (
            DELETE FROM users_places WHERE id = ANY (ARRAY(
                SELECT id FROM users_places
                WHERE (bits, block, segment) IN (SELECT bits, block, segment FROM users_places WHERE id = ANY (added))
                FOR UPDATE SKIP LOCKED
            )) RETURNING *
        )
        INSERT INTO users_places (bits, block, segment, amount)
        SELECT bits, block, segment, sum(amount) FROM gone GROUP BY bits, block, segment HAVING sum(amount) <> 0;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER users_places_insert AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_places_keep();

CREATE OR REPLACE TRIGGER users_places_delete AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION users_places_keep();

CREATE OR REPLACE TRIGGER users_places_update AFTER UPDATE ON users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_places_keep();

CREATE OR REPLACE TRIGGER users_places_truncate AFTER TRUNCATE ON users  FOR EACH STATEMENT EXECUTE FUNCTION users_places_keep();
