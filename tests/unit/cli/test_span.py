"""Spans of time, as people write them on a command line."""

import pytest

from hookloop.cli.span import span_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43_200), ("14d", 1_209_600), ("4w", 2_419_200)],
)
def test_a_span_is_a_number_and_a_letter(text, seconds):
    assert span_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "14", "d", "-1d", "1.5h", "14 d", "14D", "1y", "٣d"])
def test_what_is_not_a_span(text):
    assert span_seconds(text) is None
