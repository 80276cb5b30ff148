"""
The wire of ../SPEC.md as pure machines: bytes in, events and bytes out.

Read in this order: `frames` (nine bytes and a payload), `messages` (what a payload
says), `raw` (what opens a raw stream), `streams` (the moves of a stream), `flow` (credit
and turns), `heartbeat` (when to ask, when to give up), `events` (what a session tells its
shell), `session` (all of it together), `handshake` (how a session opens). No module here
touches a clock, a socket or randomness.
"""
