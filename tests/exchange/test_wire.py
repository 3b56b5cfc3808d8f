"""Our subset of ext_proc's messages is Envoy's own: envoy-data-plane, made from Envoy's files, reads and writes the same."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.wire import ext_proc_pb2 as wire
from tests.envoy_config.theirs import core, filters, protobuf, service, types

# ``append`` is deprecated, and what Envoy looks at all the same (ENVOY.md); ``attributes`` moved elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

THEIRS = {
    "HeaderValue": core.HeaderValue,
    "HeaderMap": core.HeaderMap,
    "HeaderValueOption": core.HeaderValueOption,
    "Metadata": core.Metadata,
    "HttpStatus": types.HttpStatus,
    "ProcessingMode": filters.ProcessingMode,
    "HttpHeaders": service.HttpHeaders,
    "HttpBody": service.HttpBody,
    "HttpTrailers": service.HttpTrailers,
    "ProtocolConfiguration": service.ProtocolConfiguration,
    "ProcessingRequest": service.ProcessingRequest,
    "HeaderMutation": service.HeaderMutation,
    "StreamedBodyResponse": service.StreamedBodyResponse,
    "BodyMutation": service.BodyMutation,
    "CommonResponse": service.CommonResponse,
    "HeadersResponse": service.HeadersResponse,
    "BodyResponse": service.BodyResponse,
    "TrailersResponse": service.TrailersResponse,
    "GrpcStatus": service.GrpcStatus,
    "ImmediateResponse": service.ImmediateResponse,
    "StreamedImmediateResponse": service.StreamedImmediateResponse,
    "ProcessingResponse": service.ProcessingResponse,
    "Struct": protobuf.Struct,
    "Value": protobuf.Value,
    "ListValue": protobuf.ListValue,
}
OURS = dict(wire.DESCRIPTOR.message_types_by_name)
# What either side says with a plain Python value.
VALUES = {
    "google.protobuf.BoolValue": (st.booleans(), lambda message: message.value),
    "google.protobuf.Duration": (
        st.integers(0, 10**12).map(
            lambda micros: timedelta(microseconds=micros)
        ),  # betterproto2 miswrites negative ones
        lambda message: message.ToTimedelta(),
    ),
}
# Where Envoy has an enum and we a number, so that a reply needs no import of it.
ENUMS = {
    ("HttpStatus", "code"): (types.StatusCode, [200, 204, 400, 403, 404, 413, 429, 500, 502, 503, 504]),
    ("HeaderValueOption", "append_action"): (core.HeaderValueOptionHeaderAppendAction, [0, 1, 2, 3]),
}
THEIR_ENUMS = {
    "HeaderSendMode": filters.ProcessingModeHeaderSendMode,
    "BodySendMode": filters.ProcessingModeBodySendMode,
    "ResponseStatus": service.CommonResponseResponseStatus,
    "NullValue": protobuf.NullValue,
}
SCALARS = {
    FieldDescriptor.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(-1e9, 1e9) | SCALARS[FieldDescriptor.TYPE_STRING],
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(SCALARS[FieldDescriptor.TYPE_STRING], inner, max_size=2)
    ),
    max_leaves=4,
)
BOUNDED = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


@st.composite
def filled(draw, descriptor):
    """Any message of a type, of each oneof at most one field set."""
    message = GetMessageClass(descriptor)()
    chosen = {draw(st.sampled_from([*oneof.fields, None])) for oneof in descriptor.oneofs}
    for field in descriptor.fields:
        if field.containing_oneof is not None and field not in chosen:
            continue
        if field.containing_oneof is None and not draw(st.booleans()):
            continue
        fill(draw, message, field)
    return message


def fill(draw, message, field):
    """Set one field to something."""
    if is_map(field):
        for name in draw(st.lists(SCALARS[FieldDescriptor.TYPE_STRING], max_size=2)):
            getattr(message, field.name)[name].update(
                draw(st.dictionaries(SCALARS[FieldDescriptor.TYPE_STRING], JSON, max_size=2))
            )
    elif field.is_repeated:
        inner = filled(field.message_type) if field.message_type else SCALARS[field.type]
        getattr(message, field.name).extend(draw(st.lists(inner, max_size=3)))
    elif field.message_type is None:
        setattr(message, field.name, draw(scalar(field)))
    elif field.message_type.full_name == "google.protobuf.Struct":
        getattr(message, field.name).update(
            draw(st.dictionaries(SCALARS[FieldDescriptor.TYPE_STRING], JSON, max_size=2))
        )
    elif field.message_type.full_name == "google.protobuf.BoolValue":
        getattr(message, field.name).value = draw(st.booleans())
    elif field.message_type.full_name == "google.protobuf.Duration":
        getattr(message, field.name).FromTimedelta(draw(VALUES["google.protobuf.Duration"][0]))
    else:
        getattr(message, field.name).CopyFrom(draw(filled(field.message_type)))


def scalar(field):
    """Values of a scalar field; of an enum every number it has."""
    known = ENUMS.get((field.containing_type.name, field.name))
    if known is not None:
        return st.sampled_from(known[1])
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return SCALARS[field.type]


def same(ours, theirs):
    """Compare every field of ours by name with theirs, and see that theirs knows every byte of ours."""
    assert not theirs._unknown_fields, f"Envoy does not know {theirs._unknown_fields!r} of {ours.DESCRIPTOR.name}"
    for field in ours.DESCRIPTOR.fields:
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if is_map(field):
            assert set(mine) == set(other)
            for key in mine:
                same(mine[key], other[key])
        elif field.is_repeated:
            assert len(mine) == len(other)
            for one, two in zip(mine, other, strict=True):
                same_value(field, one, two)
        elif field.has_presence and not ours.HasField(field.name):
            assert other is None
        else:
            same_value(field, mine, other)


def same_value(field, mine, other):
    """Compare one value."""
    if field.message_type is None:
        assert (int(other) if field.enum_type or isinstance(other, int) else other) == mine
    elif field.message_type.full_name in VALUES:
        assert VALUES[field.message_type.full_name][1](mine) == other
    else:
        same(mine, other)


def translated(ours):
    """Theirs, built field by field from ours with their own constructors."""
    theirs = THEIRS[ours.DESCRIPTOR.name]
    values: dict[str, Any] = {}
    for field in ours.DESCRIPTOR.fields:
        mine = getattr(ours, field.name)
        if is_map(field):
            values[field.name] = {key: translated(value) for key, value in mine.items()}
        elif field.is_repeated:
            values[field.name] = [translated(one) if field.message_type else one for one in mine]
        elif field.has_presence and not ours.HasField(field.name):
            continue
        else:
            values[field.name] = translated_value(field, mine)
    return theirs(**values)


def translated_value(field, mine):
    """One value of theirs."""
    if field.message_type is not None:
        plain = VALUES.get(field.message_type.full_name)
        return plain[1](mine) if plain else translated(mine)
    known = ENUMS.get((field.containing_type.name, field.name))
    if known is not None:
        return known[0](mine)
    if field.enum_type is not None:
        return THEIR_ENUMS[field.enum_type.name](mine)
    return mine


def test_every_message_has_its_counterpart():
    """No message of our file is left out of the comparison."""
    assert set(OURS) <= set(THEIRS)


@pytest.mark.parametrize("name", OURS)
def test_names_and_numbers(name):
    """Every field of ours has the name, the number and the kind it has in Envoy's own file."""
    theirs = {
        field.name: field.metadata["betterproto"].number for field in dataclasses.fields(THEIRS[name]) if field.metadata
    }
    ours = {field.name: field.number for field in OURS[name].fields}
    assert ours.items() <= theirs.items()


@pytest.mark.parametrize("name", ["HeaderSendMode", "BodySendMode"])
def test_modes(name):
    """The processing modes have Envoy's numbers."""
    ours = {value.name: value.number for value in OURS["ProcessingMode"].enum_types_by_name[name].values}
    theirs = getattr(filters, f"ProcessingMode{name}")
    assert ours.items() <= {value.name: value.value for value in theirs}.items()


@pytest.mark.parametrize("name", ["ProcessingRequest", "ProcessingResponse"])
@BOUNDED
@given(data=st.data())
def test_they_read_what_we_write(name, data):
    """Whatever we serialise, Envoy's own types parse to the same content, and write back to the same content."""
    ours = data.draw(filled(OURS[name]))
    theirs = THEIRS[name].parse(ours.SerializeToString())
    same(ours, theirs)
    assert GetMessageClass(OURS[name]).FromString(bytes(theirs)) == ours


@pytest.mark.parametrize("name", ["ProcessingRequest", "ProcessingResponse"])
@BOUNDED
@given(data=st.data())
def test_we_read_what_they_write(name, data):
    """Whatever Envoy's own types serialise, we parse to the same content."""
    ours = data.draw(filled(OURS[name]))
    assert GetMessageClass(OURS[name]).FromString(bytes(translated(ours))) == ours


def test_what_we_left_out_is_passed_over():
    """A message of Envoy's with fields that our file does not have is read as far as we know it."""
    theirs = service.ProcessingRequest(
        request_headers=service.HttpHeaders(
            headers=core.HeaderMap(headers=[core.HeaderValue(key=":path", raw_value=b"/x")]),
            attributes={"a": protobuf.Struct.from_dict({"b": "c"})},
            end_of_stream=True,
        )
    )
    ours = wire.ProcessingRequest.FromString(bytes(theirs))
    assert ours.request_headers.end_of_stream
    assert [(header.key, header.raw_value) for header in ours.request_headers.headers.headers] == [(":path", b"/x")]
