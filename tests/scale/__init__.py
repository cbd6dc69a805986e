"""What holds for many users: made once for each database, and asked many things."""
