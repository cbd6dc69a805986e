"""What pages cost over real HTTP, as a ratio to a bare Flask page in the same run."""
