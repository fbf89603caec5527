-- schema.sql: everything that a notebook keeps, version 2.
--
-- The one source: the build turns this file into the text that store/schema.c runs.
-- Once released it changes together with a step in schema.c, never alone.
--
-- Nothing in here can be rebuilt from something else, except where it says REBUILT.
-- Times are seconds since 1970 UTC. Numbers of 64 bits that a peer chooses are kept
-- as the signed number of the same bits. No clock and no randomness in SQL: both
-- are parameters.

PRAGMA application_id = 0x466c796c; -- "Flyl"

-- People, and the keys that exist for each pair only (PROTOCOL sections 2 and 3).
CREATE TABLE contacts(
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- at most 2^31 - 1; never given again
	name TEXT NOT NULL,                   -- as the own person calls them, UTF-8
	mode INTEGER NOT NULL,                -- enum contact_mode
	state INTEGER NOT NULL,               -- enum contact_state
	blocked INTEGER NOT NULL,             -- 0 or 1
	restored INTEGER NOT NULL,            -- 0 or 1: calls and answers under the anchor
	by_code INTEGER NOT NULL,             -- 0 or 1: paired by a spoken code
	paired_at INTEGER NOT NULL,           -- by the own clock
	safety TEXT NOT NULL,                 -- the safety number that was compared
	secret BLOB NOT NULL,                 -- our X25519 secret for this pair, 32 bytes
	public BLOB NOT NULL,                 -- REBUILT from secret: its public key, 32 bytes
	peer_public BLOB NOT NULL,            -- the other's static public key, 32 bytes
	role INTEGER NOT NULL,                -- REBUILT from the two public keys: enum pair_role
	cur BLOB NOT NULL,                    -- the link secret in force, 32 bytes
	prev BLOB,                            -- the one before, 32 bytes; NULL: none
	prev_called INTEGER NOT NULL,         -- 0 or 1: the other side may hold prev only
	anchor BLOB NOT NULL,                 -- the link secret of the pairing, 32 bytes
	clock_offset INTEGER NOT NULL,        -- REBUILT in the next session: the other's clock minus ours
	addresses BLOB NOT NULL               -- REBUILT when met: where it was met last, 4 times 16 bytes
) STRICT;

-- What was written. A conversation is one range of ids, and a new message is at the
-- end of it: catching up appends, page after page.
CREATE TABLE messages(
	id INTEGER PRIMARY KEY,      -- contact << 32 | position in the conversation
	own INTEGER NOT NULL,        -- 1: written here, 0: received
	sequence INTEGER NOT NULL,   -- received: number of its envelope; own: 0
	place INTEGER NOT NULL,      -- received: place within the envelope; own: 0
	kind INTEGER NOT NULL,       -- 0 text; others: PROTOCOL section 6
	claimed INTEGER NOT NULL,    -- when it was written, by the writer's clock
	arrived INTEGER NOT NULL,    -- received: by our clock; own: 0
	not_before INTEGER NOT NULL, -- show not before; 0: none
	drop_after INTEGER NOT NULL, -- drop after; 0: none
	content BLOB NOT NULL        -- UTF-8 for kind 0, else as it came
) STRICT;

-- REBUILT from messages: the own ones, so that what waits is found among any number of received ones.
CREATE INDEX messages_own ON messages(own) WHERE own = 1;

-- How far the two sides of a conversation have come, and its ratchet.
CREATE TABLE conversations(
	contact INTEGER PRIMARY KEY REFERENCES contacts(id) ON DELETE CASCADE,
	epoch INTEGER NOT NULL,         -- of the ratchet
	sent INTEGER NOT NULL,          -- envelopes ever made
	handed INTEGER NOT NULL,        -- of ours, stored by the other without a gap
	received INTEGER NOT NULL,      -- of the other's, stored here without a gap
	packed INTEGER NOT NULL,        -- own messages before this position are in envelopes
	stored_before INTEGER NOT NULL, -- own messages before this position are stored by the other
	previous BLOB,                  -- BLAKE2b-256 of our last text, 32 bytes; NULL: none yet
	ratchet BLOB NOT NULL,          -- as node/crypto/ratchet.h encodes it, at most 1,024 bytes
	repeats INTEGER                 -- the other may repeat texts from this position on; NULL: it does not
) STRICT;

-- Finished envelopes, and the own messages that each holds. A message is sealed once
-- only (PROTOCOL section 8, crash rule 1), so the bytes cannot be rebuilt.
CREATE TABLE envelopes(
	contact INTEGER NOT NULL REFERENCES contacts(id) ON DELETE CASCADE,
	sequence INTEGER NOT NULL,       -- the number of the envelope, counted from 0
	first_position INTEGER NOT NULL, -- it holds the own messages from this position
	end_position INTEGER NOT NULL,   -- to before this one
	bytes BLOB,                      -- sealed; NULL once the other has stored it
	PRIMARY KEY(contact, sequence)
) STRICT, WITHOUT ROWID;

-- Keys of messages that were overtaken (PROTOCOL section 6); they come or are dropped.
CREATE TABLE skipped_keys(
	contact INTEGER NOT NULL REFERENCES contacts(id) ON DELETE CASCADE,
	age INTEGER NOT NULL,  -- counts up within the contact: the lowest is the oldest
	made INTEGER NOT NULL, -- on the clock that counts only while the node runs, seconds
	tag BLOB NOT NULL,     -- of the message's envelope, 16 bytes
	header BLOB NOT NULL,  -- header key, 32 bytes
	message BLOB NOT NULL, -- message key, 32 bytes
	dh BLOB NOT NULL,      -- the other's X25519 key of the chain, 32 bytes
	PRIMARY KEY(contact, age),
	UNIQUE(contact, tag)
) STRICT, WITHOUT ROWID;

-- Single values.
CREATE TABLE meta(
	key INTEGER PRIMARY KEY, -- enum meta_key
	value INTEGER NOT NULL
) STRICT;
