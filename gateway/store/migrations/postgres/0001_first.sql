-- Migrations only ever add (tables, columns with a default, indexes): an older gateway that is still running
-- keeps working until it is replaced. A file that was released is never edited; its checksum is compared.
--
-- Times are milliseconds since the Unix epoch. Text that is sorted or compared uses the "C" collation, so that
-- order does not depend on how the server was set up.

CREATE TABLE accounts (
    id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    kind          TEXT   NOT NULL,
    name          TEXT   COLLATE "C" NOT NULL,
    seat          TEXT   COLLATE "C",       -- NULL: the token named no seat, so nothing can be recognised
    workspace_id  TEXT,
    user_id       TEXT,
    email         TEXT,
    plan          TEXT,
    state         TEXT   NOT NULL,
    state_reason  TEXT,
    created_at    BIGINT NOT NULL,
    quota         TEXT,                     -- JSON, as last seen
    quota_seen_at BIGINT,
    CONSTRAINT accounts_name_taken UNIQUE (name),
    CONSTRAINT accounts_seat_taken UNIQUE (seat)
);

CREATE TABLE credentials (
    account_id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    version               BIGINT NOT NULL,
    tokens                BYTEA  NOT NULL,  -- sealed
    key_id                TEXT   NOT NULL,
    expires_at            BIGINT,
    refreshed_at          BIGINT NOT NULL,
    refresh_claimed_until BIGINT
);

CREATE TABLE client_keys (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    label      TEXT   COLLATE "C" NOT NULL,
    hint       TEXT   NOT NULL,
    hash       BYTEA  NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    CONSTRAINT client_keys_label_taken UNIQUE (label)
);

CREATE TABLE settings (
    name   TEXT  COLLATE "C" NOT NULL PRIMARY KEY,
    value  BYTEA NOT NULL,                  -- sealed
    key_id TEXT  NOT NULL
);

-- No foreign key to accounts: what an account served stays true after it is deleted.
CREATE TABLE settlements (
    request_id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    at                  BIGINT NOT NULL,
    client              TEXT   NOT NULL,
    model               TEXT   NOT NULL,
    account_id          TEXT,
    outcome             TEXT   NOT NULL,
    status              BIGINT NOT NULL,
    input_tokens        BIGINT,             -- NULL: the upstream did not say
    input_cached_tokens BIGINT,
    output_tokens       BIGINT,
    reasoning_tokens    BIGINT,
    first_event_ms      BIGINT,
    duration_ms         BIGINT NOT NULL,
    attempts            BIGINT NOT NULL
);

CREATE INDEX settlements_by_time ON settlements (at, request_id);
