-- Who goes first within an order key: the lower rank, then the older one.

ALTER TABLE hookloop_delivery ADD COLUMN rank double precision NOT NULL DEFAULT 0;

DROP INDEX hookloop_delivery_waiting;
CREATE INDEX hookloop_delivery_waiting ON hookloop_delivery (target, order_key, rank, id)
    WHERE state = 'waiting';
