"""The journal: every question of a run, every answer and every attempt, durable, in one SQLite file.

Exactly once is the database's promise: (model, question) is unique, and an answer that is there is never
replaced. Not for a network file system, whose locks SQLite cannot trust.
"""
