CREATE OR REPLACE FUNCTION users_spans_keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added bigint[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM users_spans;
    ELSIF TG_OP = 'INSERT' THEN
        WITH changes (days, number, segment, amount) AS (
            SELECT size.bits, ((31 * ((12 * date_part('year', new_rows.created_at AT TIME ZONE 'UTC')::integer + date_part('month', new_rows.created_at AT TIME ZONE 'UTC')::integer) - 1) + date_part('day', new_rows.created_at AT TIME ZONE 'UTC')::integer - 1) / size.bits), new_rows.segment, 1 FROM new_rows, (VALUES (31), (1)) AS size (bits)
        ), added AS (
            INSERT INTO users_spans (days, number, segment, amount)
            SELECT days, number, segment, sum(amount) FROM changes GROUP BY days, number, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSIF TG_OP = 'DELETE' THEN
        WITH changes (days, number, segment, amount) AS (
            SELECT size.bits, ((31 * ((12 * date_part('year', old_rows.created_at AT TIME ZONE 'UTC')::integer + date_part('month', old_rows.created_at AT TIME ZONE 'UTC')::integer) - 1) + date_part('day', old_rows.created_at AT TIME ZONE 'UTC')::integer - 1) / size.bits), old_rows.segment, -1 FROM old_rows, (VALUES (31), (1)) AS size (bits)
        ), added AS (
            INSERT INTO users_spans (days, number, segment, amount)
            SELECT days, number, segment, sum(amount) FROM changes GROUP BY days, number, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    ELSE
        WITH changes (days, number, segment, amount) AS (
            SELECT size.bits, ((31 * ((12 * date_part('year', new_rows.created_at AT TIME ZONE 'UTC')::integer + date_part('month', new_rows.created_at AT TIME ZONE 'UTC')::integer) - 1) + date_part('day', new_rows.created_at AT TIME ZONE 'UTC')::integer - 1) / size.bits), new_rows.segment, 1 FROM new_rows, (VALUES (31), (1)) AS size (bits) UNION ALL SELECT size.bits, ((31 * ((12 * date_part('year', old_rows.created_at AT TIME ZONE 'UTC')::integer + date_part('month', old_rows.created_at AT TIME ZONE 'UTC')::integer) - 1) + date_part('day', old_rows.created_at AT TIME ZONE 'UTC')::integer - 1) / size.bits), old_rows.segment, -1 FROM old_rows, (VALUES (31), (1)) AS size (bits)
        ), added AS (
            INSERT INTO users_spans (days, number, segment, amount)
            SELECT days, number, segment, sum(amount) FROM changes GROUP BY days, number, segment HAVING sum(amount) <> 0
            RETURNING id
        )
        SELECT array_agg(id) INTO added FROM added;
    END IF;
    IF added IS NOT NULL AND random() < 0.1 THEN
        WITH gone AS (
            DELETE FROM users_spans WHERE id = ANY (ARRAY(
                SELECT id FROM users_spans
                WHERE (days, number, segment) IN (SELECT days, number, segment FROM users_spans WHERE id = ANY (added))
                FOR UPDATE SKIP LOCKED
            )) RETURNING *
        )
        INSERT INTO users_spans (days, number, segment, amount)
        SELECT days, number, segment, sum(amount) FROM gone GROUP BY days, number, segment HAVING sum(amount) <> 0;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER users_spans_insert AFTER INSERT ON users REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_spans_keep();

CREATE OR REPLACE TRIGGER users_spans_delete AFTER DELETE ON users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION users_spans_keep();

CREATE OR REPLACE TRIGGER users_spans_update AFTER UPDATE ON users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION users_spans_keep();

CREATE OR REPLACE TRIGGER users_spans_truncate AFTER TRUNCATE ON users  FOR EACH STATEMENT EXECUTE FUNCTION users_spans_keep();
