"""Where names are, as each worker knows it."""

from hookloop.tunnel.relay.directory import Directory, Entry


def test_a_host_leads_to_its_worker_and_the_most_specific_name_wins():
    """As in the registry it is a copy of."""
    directory = Directory()
    for entry in (Entry("a.test", "a.test", 1), Entry("*.a.test", "*.a.test", 2)):
        directory.set(entry)

    assert directory.find("a.test").worker == 1
    assert directory.find("x.y.a.test").worker == 2
    assert directory.find("b.test") is None


def test_a_name_that_is_held_is_known_and_leads_nowhere():
    """Until it is bound again, or free."""
    directory = Directory()
    directory.set(Entry("*.a.test", "*.a.test", 1, "tls"))
    directory.hold("*.a.test")
    directory.hold("unknown.test")

    assert directory.find("x.a.test") == Entry("*.a.test", "*.a.test", None, "tls")
    assert len(directory) == 0
    directory.set(Entry("*.a.test", "*.a.test", 3))
    assert (directory.find("x.a.test").worker, len(directory)) == (3, 1)
    directory.remove("*.a.test")
    directory.remove("*.a.test")
    assert directory.find("x.a.test") is None
    assert directory._wildcards == 0
