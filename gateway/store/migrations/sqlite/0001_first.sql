-- Migrations only ever add (tables, columns with a default, indexes): an older gateway that is still running
-- keeps working until it is replaced. A file that was released is never edited; its checksum is compared.
--
-- Times are milliseconds since the Unix epoch.

CREATE TABLE accounts (
    id            TEXT    NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    name          TEXT    NOT NULL UNIQUE,
    seat          TEXT    UNIQUE,           -- NULL: the token named no seat, so nothing can be recognised
    workspace_id  TEXT,
    user_id       TEXT,
    email         TEXT,
    plan          TEXT,
    state         TEXT    NOT NULL,
    state_reason  TEXT,
    created_at    INTEGER NOT NULL,
    quota         TEXT,                     -- JSON, as last seen
    quota_seen_at INTEGER
) STRICT;

CREATE TABLE credentials (
    account_id            TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    version               INTEGER NOT NULL,
    tokens                BLOB    NOT NULL, -- sealed
    key_id                TEXT    NOT NULL,
    expires_at            INTEGER,
    refreshed_at          INTEGER NOT NULL,
    refresh_claimed_until INTEGER
) STRICT;

CREATE TABLE client_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    label      TEXT    NOT NULL UNIQUE,
    hint       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    name   TEXT NOT NULL PRIMARY KEY,
    value  BLOB NOT NULL,                   -- sealed
    key_id TEXT NOT NULL
) STRICT;

-- No foreign key to accounts: what an account served stays true after it is deleted.
CREATE TABLE settlements (
    request_id          TEXT    NOT NULL PRIMARY KEY,
    at                  INTEGER NOT NULL,
    client              TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    account_id          TEXT,
    outcome             TEXT    NOT NULL,
    status              INTEGER NOT NULL,
    input_tokens        INTEGER,            -- NULL: the upstream did not say
    input_cached_tokens INTEGER,
    output_tokens       INTEGER,
    reasoning_tokens    INTEGER,
    first_event_ms      INTEGER,
    duration_ms         INTEGER NOT NULL,
    attempts            INTEGER NOT NULL
) STRICT;

CREATE INDEX settlements_by_time ON settlements (at, request_id);
