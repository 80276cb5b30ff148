"""How long the tests wait for what must come, in one place for all of them."""

PATIENCE = 30.0
"""
For what takes milliseconds. It is spent only when something is broken, so it may be generous:
a machine with nine others at work on it has held up a test for more than ten seconds.
"""
TEST_PATIENCE = 3 * PATIENCE  # for a whole test, which waits for more than one thing
END_PATIENCE = 8.0
"""For a command that must end at once: it takes half a second, what it must not wait for ten."""
