"""Pictures in notebooks are small and show the same."""

import base64
import io

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from PIL import Image

from llmsel.studies.pictures import main, paletted


def drawn():
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.plot([0, 1, 2], [0, 3, 1], label="line")
    ax.legend()
    png = io.BytesIO()
    figure.savefig(png, dpi=100)
    plt.close(figure)
    return png.getvalue()


def test_a_chart_is_smaller_looks_the_same_and_a_second_time_changes_nothing():
    plt.switch_backend("agg")
    before = drawn()
    after = paletted(before)
    assert len(after) < 0.7 * len(before)
    old, new = (
        np.asarray(Image.open(io.BytesIO(p)).convert("RGB"), float) for p in (before, after)
    )
    assert np.abs(old - new).mean() < 2  # of 255
    assert paletted(after) == after


def test_notebooks_on_disk(tmp_path):
    output = nbformat.v4.new_output(
        "display_data", {"image/png": base64.b64encode(drawn()).decode()}
    )
    cell = nbformat.v4.new_code_cell("plt.show()", outputs=[output])
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.stat().st_size
    main([str(path)])
    assert path.stat().st_size < before
    assert nbformat.read(path, as_version=4).cells[0].source == "plt.show()"
