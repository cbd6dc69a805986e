"""The fast list: search, sort, page and count a Select of any feature, at a cost that stays flat."""
