"""The notebook of the story is whole, and its code runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    pytest.importorskip("sphinx_gallery", minversion="0.16")
    monkeypatch.syspath_prepend(DOCS / "_ext")
    from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
    from story_notebook import STORY, make_notebook

    folder = tmp_path / "auto_examples" / "images"
    folder.mkdir(parents=True)
    text = (DOCS / STORY).read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith(".. image:: "):
            (folder / Path(line).name).write_bytes(b"a picture")
    return make_notebook(text, {**DEFAULT_GALLERY_CONF, "src_dir": tmp_path}, tmp_path)


def test_text_and_pictures(notebook):
    text = [cell["source"][0] for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    assert text[0].startswith("# The story: from gradient descent to Adam")
    page = "".join(text)
    headings = (DOCS / "guide" / "story.rst").read_text(encoding="utf-8").count("\n---")
    assert sum(line.startswith("## ") for line in page.splitlines()) == headings
    assert page.count('<img src="data:image/png;base64,') >= 5
    for markup in (">>>", ":doc:", ":ref:", ":math:", ":download:", "\n.. ", ":target:"):
        assert markup not in page


def test_code_runs(notebook):
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"][0], names)
    assert names["result"].x == pytest.approx([1.0, 1.0], abs=0.01)
    assert np.allclose([names["a"], names["b"]], [10, 5], rtol=0.05)
