-- Messages never change; deliveries do, and are narrow for that; attempts are only added.

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, not even after a prune
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    key TEXT,
    received_at REAL NOT NULL,             -- Unix seconds, as all times here
    head BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX message_received ON message (received_at);

-- The one authority on what is a duplicate: a key outlives the message that brought it.
CREATE TABLE dedupe (
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    message INTEGER NOT NULL,
    body_sha256 BLOB NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedupe_until ON dedupe (until);

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of an order key
    message INTEGER NOT NULL REFERENCES message (id),
    target TEXT NOT NULL,
    order_key TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'leased', 'done', 'dead')),
    due_at REAL NOT NULL,                  -- ready: when it may be claimed; leased: until when
    attempts INTEGER NOT NULL,             -- the number of the latest one is the lease's fence
    failures INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    claimed_at REAL,
    settled_at REAL,
    detail TEXT NOT NULL
) STRICT;

-- What can be claimed, and nothing else: its size is the backlog, not the history.
CREATE INDEX delivery_due ON delivery (target, due_at, id) WHERE state IN ('ready', 'leased');

-- One at a time for each order key. The database itself refuses a second.
CREATE UNIQUE INDEX delivery_head ON delivery (target, order_key)
    WHERE order_key IS NOT NULL AND state IN ('ready', 'leased');

CREATE INDEX delivery_waiting ON delivery (target, order_key, id) WHERE state = 'waiting';
CREATE INDEX delivery_settled ON delivery (state, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX delivery_message ON delivery (message);

CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('done', 'retry', 'dead', 'released', 'lost')),
    detail TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
