"""Where a challenge's evidence is kept: SQLite by default, PostgreSQL where several machines share a challenge."""
