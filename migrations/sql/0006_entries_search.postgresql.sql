CREATE INDEX ix_entries_search ON entries USING gin (
    search_text gin_trgm_ops,
    (ARRAY[segment::text]),
    (ARRAY['<' || chr(-1714 + date_part('year', least(timestamp '2200-12-31', greatest(timestamp '1970-01-01', at AT TIME ZONE 'UTC')))::integer) || '>', '~' || chr(-1714 + date_part('year', least(timestamp '2200-12-31', greatest(timestamp '1970-01-01', at AT TIME ZONE 'UTC')))::integer) || chr(96 + date_part('month', least(timestamp '2200-12-31', greatest(timestamp '1970-01-01', at AT TIME ZONE 'UTC')))::integer)])
);
