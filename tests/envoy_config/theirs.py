"""Envoy's own types, imported in silence: pydantic deprecates how envoy-data-plane 2.2 declares its validators."""

from __future__ import annotations

import importlib
import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `@model_validator`", category=DeprecationWarning)
    build = importlib.import_module("extproc.envoy.build")
    cluster = importlib.import_module("extproc.envoy.cluster")
    collector = importlib.import_module("extproc.envoy.collector")
    routes = importlib.import_module("extproc.envoy.routes")
    tracing = importlib.import_module("extproc.envoy.tracing")
    bootstrap = importlib.import_module("envoy_data_plane.envoy.config.bootstrap.v3")
    core = importlib.import_module("envoy_data_plane.envoy.config.core.v3")
    filters = importlib.import_module("envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3")
    service = importlib.import_module("envoy_data_plane.envoy.service.ext_proc.v3")
    discovery = importlib.import_module("envoy_data_plane.envoy.service.discovery.v3")
    types = importlib.import_module("envoy_data_plane.envoy.type.v3")
    protobuf = importlib.import_module("envoy_data_plane.google.protobuf")
