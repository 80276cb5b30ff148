"""The relay's counts, as Prometheus reads them and as workers add them up."""

from prometheus_client.parser import text_string_to_metric_families

from hookloop.tunnel.relay.counts import SECONDS_BUCKETS, Counts
from hookloop.tunnel.relay.metrics import Gauges, Metrics

NOW = Gauges(
    sessions=3,
    tunnels=4,
    connections=5,
    streams=6,
    tokens=7,
    is_token_file_valid=True,
    is_ready=False,
)


def samples(counts):
    text = Metrics(lambda: (NOW, counts)).render().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def some_counts():
    counts = Counts(connections=9, sessions=2)
    counts.exchange(200, 0.004, bytes_in=10, bytes_out=20)
    counts.exchange(503, 0.2, bytes_in=1, bytes_out=2)
    counts.exchange(None, 1000.0, bytes_in=0, bytes_out=0)
    counts.refused["agent_offline"] += 1
    counts.cut["slow_reader"] += 1
    counts.sessions_refused["bad_token"] += 2
    counts.names_refused["name_taken"] += 3
    return counts


def test_all_that_is_counted_is_shown():
    """Read again by Prometheus' own parser."""
    found = samples(some_counts())
    prefix = "hookloop_relay_"

    assert found[prefix + "sessions",] == 3
    assert found[prefix + "ready",] == 0
    assert found[prefix + "requests_total", "2xx"] == found[prefix + "requests_total", "5xx"] == 1
    assert found[prefix + "requests_total", "none"] == 1
    assert found[prefix + "refused_total", "agent_offline"] == 1
    assert found[prefix + "cut_total", "slow_reader"] == 1
    assert found[prefix + "sessions_refused_total", "bad_token"] == 2
    assert found[prefix + "names_refused_total", "name_taken"] == 3
    assert found[prefix + "request_bytes_total",] == 11
    assert found[prefix + "response_bytes_total",] == 22
    assert found[prefix + "exchange_seconds_bucket", "0.005"] == 1
    assert found[prefix + "exchange_seconds_bucket", "0.25"] == 2
    assert found[prefix + "exchange_seconds_bucket", "+Inf"] == 3
    assert found[prefix + "exchange_seconds_count",] == 3
    assert found[prefix + "exchange_seconds_sum",] == 1000.204
    assert found["process_open_fds",] > 0


def test_an_exchange_of_a_limits_length_is_within_it():
    """Buckets are "less or equal"."""
    counts = Counts()
    counts.exchange(200, SECONDS_BUCKETS[3], bytes_in=0, bytes_out=0)

    assert counts.buckets[3] == 1


def test_the_counts_of_workers_add_up():
    """Each of them, so that a scrape of any worker is a scrape of the relay."""
    total = some_counts()
    total.add(some_counts().as_dict())

    assert total.as_dict() == {
        **some_counts().as_dict(),
        "connections": 18,
        "sessions": 4,
        "bytes_in": 22,
        "bytes_out": 44,
        "statuses": {"2xx": 2, "5xx": 2, "none": 2},
        "refused": {"agent_offline": 2},
        "cut": {"slow_reader": 2},
        "sessions_refused": {"bad_token": 4},
        "names_refused": {"name_taken": 6},
        "buckets": [2 * count for count in some_counts().buckets],
        "seconds": 2 * some_counts().seconds,
    }
