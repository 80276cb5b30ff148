"""The token file: whole or not at all, for nobody else to read, and read again when changed."""

import json
import multiprocessing
import stat
from random import Random

import pytest

from hookloop.errors import ConfigError
from hookloop.tunnel.relay.token_file import TokenFile, editing, read_tokens
from hookloop.tunnel.relay.tokens import Token, given_token, new_token

ENTRY = {"id": "abc", "sha256": "0" * 64}


def written(tmp_path, content) -> object:
    path = tmp_path / "tokens.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def some_token(number=0, **settings):
    known = given_token(new_token(Random(number)))
    return Token(id=known.id, sha256=known.sha256, **settings)


def test_what_is_written_is_read_again(tmp_path):
    """Every member of it; what is not set is left out."""
    full = some_token(
        1,
        label="Zoë",
        created=1_700_000_000,
        expires=2_000_000_000,
        names=("shop", "*.cust.test"),
        own_names_only=True,
        sessions_max=3,
        tunnels_max=4,
    )
    plain = some_token(2)
    path = tmp_path / "tokens.json"
    with editing(path) as tokens:
        tokens += [full, plain]

    assert read_tokens(path) == [full, plain]
    entries = json.loads(path.read_text())["tokens"]
    assert entries[1] == {"id": plain.id, "sha256": plain.sha256}
    assert entries[0]["expires"] == "2033-05-18T03:33:20Z"
    assert [found.name for found in tmp_path.iterdir()] == ["tokens.json"]


def test_the_file_is_its_owners(tmp_path):
    """Labels and names are nobody else's business either."""
    path = tmp_path / "tokens.json"
    with editing(path) as tokens:
        tokens.append(some_token())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_edit_that_fails_leaves_the_file_as_it_was(tmp_path):
    """Also one that no relay would accept."""
    path = tmp_path / "tokens.json"
    with editing(path) as tokens:
        tokens.append(some_token())
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="twice"), editing(path) as tokens:
        tokens.append(tokens[0])

    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def _append(path, number):
    with editing(path) as tokens:
        tokens.append(some_token(number))


def test_two_who_edit_at_once_lose_nothing(tmp_path):
    """Each waits for the other."""
    path = tmp_path / "tokens.json"
    context = multiprocessing.get_context("spawn")
    editors = [context.Process(target=_append, args=(path, number)) for number in range(4)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()

    assert len(read_tokens(path)) == 4


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], r'\{"tokens": \[...\]\}'),
        ({"tokens": {}}, r'\{"tokens": \[...\]\}'),
        ({"tokens": [1]}, "token 1 is not a JSON object"),
        ({"tokens": [ENTRY, {"id": "a"}]}, "token 2 has no id or no sha256"),
        ({"tokens": [ENTRY | {"admin": True}]}, "'admin', which is not known here"),
        ({"tokens": [ENTRY | {"names": "shop"}]}, "'names' of the wrong kind"),
        ({"tokens": [ENTRY | {"names": [1]}]}, "name that is no text"),
        ({"tokens": [ENTRY | {"sessions_max": True}]}, "'sessions_max' of the wrong kind"),
        ({"tokens": [ENTRY | {"expires": "soon"}]}, "'expires' that is no time"),
        ({"tokens": [ENTRY | {"names": ["A B"]}]}, "cannot be reserved"),
    ],
)
def test_a_file_that_cannot_be_read_names_its_fault(tmp_path, content, fault):
    """And where it is."""
    path = written(tmp_path, content)

    with pytest.raises(ConfigError, match=fault) as error:
        read_tokens(path)

    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_comes_with_the_command_that_makes_it(tmp_path):
    """One line to copy."""
    with pytest.raises(ConfigError, match="hookloop relay token create"):
        read_tokens(tmp_path / "none.json")


@pytest.mark.parametrize(
    "time", ["2030-01-02T03:04:05Z", "2030-01-02T04:04:05+01:00", 1_893_553_445]
)
def test_times_are_read_as_people_write_them(tmp_path, time):
    """ISO 8601 or Unix seconds."""
    (token,) = read_tokens(written(tmp_path, {"tokens": [ENTRY | {"expires": time}]}))

    assert token.expires == 1_893_553_445


def test_a_file_is_read_again_when_it_has_changed(tmp_path):
    """And only then; a mounted secret is another file, with the same name."""
    path = written(tmp_path, {"tokens": []})
    file = TokenFile(path)

    assert file.read() == []
    assert file.read_if_changed() is None
    with editing(path) as tokens:
        tokens.append(some_token())
    assert len(file.read_if_changed()) == 1
    assert file.read_if_changed() is None
