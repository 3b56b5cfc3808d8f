"""OTLP's request, read whatever bytes its strings hold.

A string of the protocol is UTF-8, and protobuf refuses a whole message for one that is not. Envoy puts into a span what a
client sent, ``user-agent`` for one, as it is: nobody's header is to cost the spans of everybody in the same message. The
same messages as of an older syntax, which does not check, give such a string as bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def unchecked_request() -> type[ExportTraceServiceRequest]:
    """Return the request's class; a field that is typed as string may hold bytes."""
    pool = DescriptorPool()
    _add(trace_service_pb2.DESCRIPTOR, pool, set())
    name = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name
    return cast("type[ExportTraceServiceRequest]", GetMessageClass(pool.FindMessageTypeByName(name)))


def _add(file: FileDescriptor, pool: DescriptorPool, there: set[str]) -> None:
    """Add a file, after those that it needs."""
    if file.name in there:
        return
    there.add(file.name)
    for needed in file.dependencies:
        _add(needed, pool, there)
    described = FileDescriptorProto()
    file.CopyToProto(described)
    described.syntax = "proto2"
    pool.AddSerializedFile(described.SerializeToString())
