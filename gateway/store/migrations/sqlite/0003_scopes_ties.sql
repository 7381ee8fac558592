-- The part of the pool that a client key may use, and what ties conversations to accounts.

ALTER TABLE client_keys ADD COLUMN scope TEXT;           -- JSON; NULL: all of it

-- A digest instead of what the client sent. No foreign key: ties are written in batches, and an account that is deleted
-- meanwhile must not sink one.
CREATE TABLE ties (
    kind       INTEGER NOT NULL,
    digest     BLOB    NOT NULL,
    account_id TEXT    NOT NULL,
    used_at    INTEGER NOT NULL,
    kept_until INTEGER NOT NULL,
    served_at  INTEGER,                                  -- NULL: nothing of it is cached
    body_bytes INTEGER NOT NULL,
    hits       REAL,                                     -- NULL: too small to be cached
    saved_at   INTEGER NOT NULL,
    saved_by   TEXT    NOT NULL,
    PRIMARY KEY (kind, digest)
) STRICT;

CREATE INDEX ties_by_save ON ties (saved_at);
CREATE INDEX ties_by_end ON ties (kept_until);
