CREATE OR REPLACE FUNCTION users_totals_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM users_totals;
    ELSIF TG_OP = 'INSERT' THEN
        WITH changes (segment, amount) AS (
            SELECT new_rows.segment, 1 FROM new_rows
        ), added AS (
            INSERT INTO users_totals (segment, amount)
            SELECT segment, sum(amount) FROM changes GROUP BY segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSIF TG_OP = 'DELETE' THEN
        WITH changes (segment, amount) AS (
            SELECT old_rows.segment, -1 FROM old_rows
        ), added AS (
            INSERT INTO users_totals (segment, amount)
            SELECT segment, sum(amount) FROM changes GROUP BY segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSE
        WITH changes (segment, amount) AS (
            SELECT new_rows.segment, 1 FROM new_rows UNION ALL SELECT old_rows.segment, -1 FROM old_rows
        ), added AS (
            INSERT INTO users_totals (segment, amount)
            SELECT segment, sum(amount) FROM changes GROUP BY segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    END IF;
    IF added IS NOT NULL AND random() < 0.1 THEN
        WITH gone AS (
            DELETE FROM users_totals WHERE id = ANY (ARRAY(
                SELECT id FROM users_totals
                WHERE (segment) IN (SELECT segment FROM users_totals WHERE id = ANY (added))
                FOR UPDATE SKIP LOCKED
            )) RETURNING *
        )
        INSERT INTO users_totals (segment, amount)
        SELECT segment, sum(amount) FROM gone GROUP BY segment HAVING sum(amount) <> 0;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER users_totals_insert AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_totals_keep();

CREATE OR REPLACE TRIGGER users_totals_delete AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION users_totals_keep();

CREATE OR REPLACE TRIGGER users_totals_update AFTER UPDATE ON users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_totals_keep();

CREATE OR REPLACE TRIGGER users_totals_truncate AFTER TRUNCATE ON users  FOR EACH STATEMENT EXECUTE FUNCTION users_totals_keep();
