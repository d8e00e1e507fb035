"""The picture of what more synthetic queries bring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmaug.errors import OutputError, PlanError
from llmaug.training.saturation_plot import SaturationPoint, draw

POINTS = [
    SaturationPoint(500, 0.631, 0.601, 0.660),
    SaturationPoint(250, 0.620, 0.590, 0.651),
    SaturationPoint(1000, 0.640, 0.612, 0.668),
    SaturationPoint(1010, 0.641, 0.612, 0.668),
]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_drawn(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"curve.{ending}"
    draw(POINTS, path, base=0.61, human=0.625, measure="nDCG@10")
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(begins[ending])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "points",
    [POINTS[:1], [SaturationPoint(1, 0.5, 0.5, 0.5)], [SaturationPoint(8, 0.2, 0.3, 0.4)]],
)
def test_odd_curves_are_drawn(tmp_path: Path, points: list[SaturationPoint]) -> None:
    pytest.importorskip("matplotlib")
    draw(points, tmp_path / "curve.png", base=0.61, measure="$odd_{name}")
    assert (tmp_path / "curve.png").exists()


@pytest.mark.parametrize(
    "points",
    [[], [SaturationPoint(0, 0.5, 0.4, 0.6)], [SaturationPoint(8, float("nan"), 0.4, 0.6)]],
)
def test_points_without_a_place_are_refused(tmp_path: Path, points: list[SaturationPoint]) -> None:
    with pytest.raises(PlanError, match="saturation curve"):
        draw(points, tmp_path / "curve.png", base=0.61, measure="nDCG@10")


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"did you mean \.png"):
        draw(POINTS, tmp_path / "curve.pgn", base=0.61, measure="nDCG@10")


def test_without_matplotlib_the_extra_is_named() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['matplotlib'] = None\n"
            "from llmaug.training.saturation_plot import *\n"
            "try: draw([SaturationPoint(1, 1, 1, 1)], 'x.png', base=1, measure='m')\n"
            "except MissingExtra as error: print(error)",
        ],
        capture_output=True,
        text=True,
    )
    assert "pip install 'llmaug[report]'" in ended.stdout
