"""A public URL for a local service: `relay` (public side), `agent` (local side), `wire` between."""
