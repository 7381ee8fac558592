-- What operators decide about accounts, egress proxies, and who holds a claim.

ALTER TABLE accounts ADD COLUMN settings BLOB;           -- sealed JSON; NULL: never set, so the defaults
ALTER TABLE accounts ADD COLUMN settings_key_id TEXT;

-- A claim is ours when the holder is ours and the holder's end is the claim's end: an older gateway beside this one
-- claims without naming a holder, and must not have its claim given back by whoever held the one before.
ALTER TABLE credentials ADD COLUMN refresh_holder TEXT;
ALTER TABLE credentials ADD COLUMN refresh_holder_until INTEGER;

-- The list of accounts names the version of their tokens; without this it would read all the tokens to find it.
CREATE INDEX credentials_versions ON credentials (account_id, version);

CREATE TABLE proxies (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    url            BLOB    NOT NULL,                     -- sealed
    key_id         TEXT    NOT NULL,
    enabled        INTEGER NOT NULL,
    account_groups TEXT    NOT NULL                      -- JSON array
) STRICT;
