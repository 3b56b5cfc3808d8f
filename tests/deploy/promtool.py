"""Prometheus' own checks."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def promtool(*words: str | Path) -> None:
    """Have it check something; its complaints are the failure's text."""
    found = shutil.which("promtool")
    assert found, "no promtool: these tests have it check files for Prometheus; apt-get install prometheus"
    done = subprocess.run([found, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check_expressions(expressions: Mapping[str, str], folder: Path) -> None:
    """Have it parse expressions, as rules of a file; they are named in what it says."""
    rules = [
        {"record": f"expression:{number}", "expr": text, "labels": {"of": name}}
        for number, (name, text) in enumerate(expressions.items())
    ]
    file = folder / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    promtool("check", "rules", file)
