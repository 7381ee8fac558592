-- What a client key used is summed over all of its settlements: from this index alone, not from the whole table.
CREATE INDEX settlements_by_client ON settlements
    (client, input_tokens, input_cached_tokens, output_tokens, reasoning_tokens);
