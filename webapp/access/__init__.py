"""Who may do what: one table, named on every route, asked again by every service."""
