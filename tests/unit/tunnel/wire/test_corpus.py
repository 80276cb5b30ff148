"""
The vectors of tests/corpus/wire, both ways.

Their bytes were put together without our encoders, so that they can prove them wrong.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pair import AGENT_HELLO, KIB, RELAY_HELLO, REQUEST, Pair

from hookloop.errors import ProtocolError
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.wire.frames import (
    BODY,
    DIGEST,
    END,
    UPGRADE,
    FrameDecoder,
    FrameType,
    encode_frame,
)
from hookloop.tunnel.wire.messages import (
    Bind,
    Bound,
    Goaway,
    Hello,
    Invite,
    Refused,
    Request,
    ResetCode,
    Unbind,
    cut_body,
    cut_digest,
    decode_credit,
    decode_reset,
    decode_response,
    decode_trailers,
    encode_credit,
    encode_reset,
    encode_response,
    encode_trailers,
    with_body,
)
from hookloop.tunnel.wire.raw import Connect

CORPUS = Path(__file__).parents[3] / "corpus" / "wire"
JSON_MESSAGES = {
    FrameType.HELLO: Hello,
    FrameType.BIND: Bind,
    FrameType.BOUND: Bound,
    FrameType.REFUSED: Refused,
    FrameType.UNBIND: Unbind,
    FrameType.GOAWAY: Goaway,
    FrameType.INVITE: Invite,
}
NARROW = {"stream_credit": 16 * KIB, "session_credit": 64 * KIB, "streams_max": 2}


def vectors(name):
    cases = json.loads((CORPUS / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in cases]


def fields_of(headers):
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def plain(headers):
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def meaning_of(type_, payload, flags=0):
    """Say what a frame means, in the words of the vectors."""
    if type_ in {FrameType.REQUEST, FrameType.RESPONSE} and flags & BODY:
        fields, body = cut_body(payload)
        body, digest = cut_digest(body) if flags & DIGEST else (body, b"")
        return meaning_of(type_, fields) | {"body": body.hex(), "digest": digest.hex()}
    if type_ is FrameType.DATA and flags & DIGEST:
        data, digest = cut_digest(payload)
        return {"hex": data.hex(), "digest": digest.hex()}
    if type_ in JSON_MESSAGES:
        members = json.loads(json.dumps(asdict(JSON_MESSAGES[type_].decode(payload))))
        if members.get("catch", "") is None:
            del members["catch"]  # as it may be left out
        return members
    match type_:
        case FrameType.REQUEST:
            request = Request.decode(payload)
            head = request.head
            return {
                "tunnel": request.tunnel,
                "remote": request.remote,
                "method": head.method.decode("latin-1"),
                "target": head.target.decode("latin-1"),
                "headers": plain(head.headers),
            }
        case FrameType.RESPONSE:
            head = decode_response(payload)
            reason = head.reason.decode("latin-1")
            return {"status": head.status, "reason": reason, "headers": plain(head.headers)}
        case FrameType.TRAILERS:
            return {"headers": plain(decode_trailers(payload))}
        case FrameType.RESET:
            code, message = decode_reset(payload)
            return {"code": code.name.lower(), "message": message}
        case FrameType.CREDIT:
            return {"bytes": decode_credit(payload)}
        case FrameType.CONNECT:
            return asdict(Connect.decode(payload))
        case FrameType.MOVE:
            return {"lane": int.from_bytes(payload)}
        case _:
            return {"hex": payload.hex()}


def flags_of(vector):
    means = vector["means"]
    flags = END if vector["end"] else 0
    flags |= UPGRADE if vector.get("upgrade") else 0
    flags |= BODY if "body" in means else 0
    return flags | DIGEST if means.get("digest") else flags


def payload_of(type_, means):
    """Say the same in bytes."""
    if "body" in means:
        rest = {key: value for key, value in means.items() if key not in {"body", "digest"}}
        body, digest = bytes.fromhex(means["body"]), bytes.fromhex(means["digest"])
        return with_body(payload_of(type_, rest), body, digest)
    if type_ is FrameType.DATA:
        return bytes.fromhex(means["hex"] + means.get("digest", ""))
    if type_ in JSON_MESSAGES:
        return JSON_MESSAGES[type_](**means).encode()
    match type_:
        case FrameType.REQUEST:
            method, target = means["method"].encode(), means["target"].encode()
            head = RequestHead(method, target, fields_of(means["headers"]))
            return Request(means["tunnel"], means["remote"], head).encode()
        case FrameType.RESPONSE:
            reason, headers = means["reason"].encode(), fields_of(means["headers"])
            return encode_response(ResponseHead(means["status"], reason, headers))
        case FrameType.TRAILERS:
            return encode_trailers(fields_of(means["headers"]))
        case FrameType.RESET:
            return encode_reset(ResetCode[means["code"].upper()], means["message"])
        case FrameType.CREDIT:
            return encode_credit(means["bytes"])
        case FrameType.CONNECT:
            return Connect(**means).encode()
        case FrameType.MOVE:
            return means["lane"].to_bytes(4)
        case _:
            return bytes.fromhex(means["hex"])


@pytest.mark.parametrize("vector", vectors("frames.json") + vectors("tolerated.json"))
def test_the_bytes_mean_what_the_vector_says(vector):
    """From the wire to the meaning."""
    [frame] = FrameDecoder().receive_data(bytes.fromhex(vector["hex"]))

    type_ = FrameType(frame.type)

    assert (type_.name, frame.stream) == (vector["type"], vector["stream"])
    assert bool(frame.flags & END) is vector["end"]
    if type_ is FrameType.REQUEST:
        assert bool(frame.flags & UPGRADE) is vector.get("upgrade", False)
    assert meaning_of(type_, frame.payload, frame.flags) == vector["means"]


@pytest.mark.parametrize("vector", vectors("frames.json"))
def test_the_meaning_becomes_the_bytes_of_the_vector(vector):
    """And back, to the byte."""
    type_ = FrameType[vector["type"]]
    payload = payload_of(type_, vector["means"])

    frame = encode_frame(type_, payload, stream=vector["stream"], flags=flags_of(vector))

    assert frame.hex() == vector["hex"]


def in_the_state_of_the_readme():
    """Return a pair with narrow limits and stream 1 open."""
    pair = Pair(relay=replace(RELAY_HELLO, **NARROW), agent=replace(AGENT_HELLO, **NARROW))
    pair.open()
    return pair


def refusals():
    """Return each vector once for each side that must refuse it."""
    cases = json.loads((CORPUS / "refused.json").read_text(encoding="utf-8"))
    return [
        pytest.param(side, case["hex"], id=f"{case['name']}, {side}")
        for case in cases
        for side in case["to"]
    ]


@pytest.mark.parametrize(("side", "sent"), refusals())
def test_what_must_be_refused_is_refused(side, sent):
    """By the sides that the vector names."""
    session = getattr(in_the_state_of_the_readme(), side)

    with pytest.raises(ProtocolError):
        session.receive_data(bytes.fromhex(sent), 0.0)


@pytest.mark.parametrize("vector", vectors("frames.json") + vectors("tolerated.json"))
def test_a_session_understands_what_its_peer_may_send(vector):
    """In a session where that frame has its place."""
    frame = bytes.fromhex(vector["hex"])
    type_, stream = FrameType[vector["type"]], vector["stream"]

    for sender in vector["sent_by"]:
        pair = Pair(greeted=type_ is not FrameType.HELLO)
        is_opening = type_ in {FrameType.REQUEST, FrameType.CONNECT}
        for _ in range(stream - 1 if is_opening else stream):
            if vector.get("answers_upgrade"):
                pair.relay.open_upgrade(REQUEST)
                pair.at_agent()
            else:
                pair.open()
        if sender == "agent" and type_ in {FrameType.DATA, FrameType.TRAILERS}:
            pair.agent.respond(stream, ResponseHead(200, b"", ()))
            pair.at_relay()
        if vector.get("answers_move"):
            for session in (pair.agent, pair.relay):
                session.lanes.add(vector["means"]["lane"], 0.0)
            pair.relay.lanes.move(stream, vector["means"]["lane"])
        receiver = pair.relay if sender == "agent" else pair.agent
        receiver.receive_data(frame, 0.0)


def test_every_frame_type_has_a_vector():
    """A type that is added must be added there."""
    types = {param.values[0]["type"] for param in vectors("frames.json")}

    assert types == {type_.name for type_ in FrameType}
