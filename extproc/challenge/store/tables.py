"""The tables, the same on SQLite and PostgreSQL.

A *writer* is one supervisor, a *life* is one worker process's run. Rows that hold sums belong to one writer each, so
that writers never wait for each other; who reads adds them up. JSON is kept as bytes: it may hold what a text column
refuses.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text

VERSION = 1  # of what follows; a store of a later version is not touched

metadata = MetaData()

schema = Table("extproc_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

writers = Table(
    "extproc_writers",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),  # one more with each change of this writer's sums
)

evidence = Table(
    "extproc_evidence",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("sums", LargeBinary, nullable=False),  # Evidence
)

lives = Table(
    "extproc_lives",
    metadata,
    Column("life", Text, primary_key=True),
    Column("writer", Text, nullable=False),
    Column("number", BigInteger, nullable=False),  # of the last batch of windows that was booked
    Column("heard_at", Double, nullable=False),
    Column("closed_at", Double),
    Index("extproc_lives_writer", "writer", "closed_at"),
)

# What each life's worker last said to be eligible, and how many of these were booked, whatever became of them.
counts = Table(
    "extproc_counts",
    metadata,
    Column("life", Text, primary_key=True),
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("eligible", BigInteger, nullable=False),
    Column("booked", BigInteger, nullable=False),
    Index("extproc_counts_challenge", "challenge"),
)

# The same of closed lives that are no longer told apart; all of it is booked.
past = Table(
    "extproc_past",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("eligible", BigInteger, nullable=False),
)

records = Table(
    "extproc_records",
    metadata,
    Column("request", Text, primary_key=True),
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("segment", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("joined", Boolean, nullable=False),
    Column("pair", LargeBinary, nullable=False),  # Record without body
    Index("extproc_records_at", "challenge", "at"),
)

examples = Table(
    "extproc_examples",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("request", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("pair", LargeBinary, nullable=False),  # Record
)

feedback = Table(
    "extproc_feedback",
    metadata,
    Column("request", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("joined", Boolean, nullable=False),  # with at least one record
    Column("told", LargeBinary, nullable=False),  # truth.Feedback
    Index("extproc_feedback_at", "joined", "at"),
)

decisions = Table(
    "extproc_decisions",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("at", Double, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("graph", Text, nullable=False),
    Column("generation", Text, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("figures", LargeBinary, nullable=False),  # JSON
)

points = Table(
    "extproc_points",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("challenger", Text, primary_key=True),
    Column("at", Double, primary_key=True),
    Column("figures", LargeBinary, nullable=False),  # JSON
)

# What was not kept, by reason. The challenge is empty where none is known.
dropped = Table(
    "extproc_dropped",
    metadata,
    Column("challenge", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("times", BigInteger, nullable=False),
)
