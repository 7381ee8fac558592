-- What operators decide about accounts, egress proxies, and who holds a claim.

ALTER TABLE accounts
    ADD COLUMN settings BYTEA,                           -- sealed JSON; NULL: never set, so the defaults
    ADD COLUMN settings_key_id TEXT;

-- A claim is ours when the holder is ours and the holder's end is the claim's end: an older gateway beside this one
-- claims without naming a holder, and must not have its claim given back by whoever held the one before.
ALTER TABLE credentials
    ADD COLUMN refresh_holder TEXT,
    ADD COLUMN refresh_holder_until BIGINT;

CREATE TABLE proxies (
    id             TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    name           TEXT    COLLATE "C" NOT NULL,
    url            BYTEA   NOT NULL,                     -- sealed
    key_id         TEXT    NOT NULL,
    enabled        BOOLEAN NOT NULL,
    account_groups TEXT    NOT NULL,                     -- JSON array
    CONSTRAINT proxies_name_taken UNIQUE (name)
);
