CREATE INDEX ix_entries_search ON entries USING gin (
    search_text gin_trgm_ops
);
