"""A notebook's last cell: one name, one form per picture, the same bytes again."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from llmsel._base import files as paths
from llmsel.reporting import save
from llmsel.studies.tables import read_table


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    return tmp_path


def drawn(points=(1, 3, 2)):
    figure = Figure()
    axes = figure.subplots()
    axes.plot(points, marker="o")
    axes.set_title("points")
    return figure


def test_the_name_says_which_run_made_it(house):
    table = pd.DataFrame({"budget": [1, 2], "value": [0.5, 0.25]})
    written = save(
        "official:mt-bench",
        figures={"overview": drawn()},
        tables={"curves.csv.gz": table, "efficiency.csv": table},
        parameters={"seed": 3},
    )
    assert [str(path.relative_to(house)) for path in written] == [
        "figures/official-mt-bench-overview.svg",
        "results/official-mt-bench/curves.csv.gz",
        "results/official-mt-bench/efficiency.csv",
    ]
    read, parameters = read_table(written[1])
    assert read.equals(table) and parameters == {"seed": 3}


def test_what_belongs_to_no_benchmark_stands_at_the_top(house):
    written = save(
        "",
        figures={"speed": drawn()},
        tables={"speed.csv": pd.DataFrame({"s": [1]})},
        parameters={},
    )
    assert [str(path.relative_to(house)) for path in written] == [
        "figures/speed.svg",
        "results/speed.csv",
    ]


@pytest.mark.usefixtures("house")
def test_a_picture_is_svg_alone_and_the_same_each_time():
    (path,) = save("smol", figures={"points": drawn()}, parameters={})
    first = path.read_bytes()
    assert b"<text" in first and b"<dc:date>" not in first
    save("smol", figures={"points": drawn()}, parameters={})
    assert path.read_bytes() == first and [p.name for p in path.parent.iterdir()] == [path.name]
    save("smol", figures={"points": drawn((3, 2, 1))}, parameters={})
    assert path.read_bytes() != first
