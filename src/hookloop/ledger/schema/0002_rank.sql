-- Who goes first within an order key: the lower rank, then the older one.

ALTER TABLE delivery ADD COLUMN rank REAL NOT NULL DEFAULT 0;

DROP INDEX delivery_waiting;
CREATE INDEX delivery_waiting ON delivery (target, order_key, rank, id) WHERE state = 'waiting';
