"""The story as a notebook to download: its text, code and pictures, by the converter of sphinx-gallery."""

import re
from doctest import DocTestParser, Example
from pathlib import Path

from sphinx_gallery.notebook import jupyter_notebook, save_notebook

STORY, NOTEBOOK = "guide/story.rst", "generated/story.ipynb"


def split_page(text):
    """Return blocks as sphinx-gallery does: label, content, line. Code that prints ends its block."""
    labels, blocks, goes_on = [], [], False
    for piece in DocTestParser().parse(plain_text(text)):
        if isinstance(piece, Example):
            if goes_on:
                blocks[-1] += piece.source
            else:
                blocks.append(piece.source)
                labels.append("code")
            goes_on = not piece.want
        elif piece.strip():
            blocks.append(piece.strip() + "\n")
            labels.append("text")
            goes_on = False
    return [(label, block, 1) for label, block in zip(labels, blocks, strict=True)]


def plain_text(text):
    """Return text without what has no meaning outside of the site: links, and the one to the notebook."""
    text = re.sub(r"(?m)^.*:download:.*\n(?:\S.*\n)*", "", text)
    text = re.sub(r"(?m)^ +:target: .*\n", "", text)
    text = re.sub(r"\s+\(:(?:doc|ref):`[^`]+`\)", "", text)
    text = re.sub(r":(?:doc|ref):`([^`<]+?)\s*<[^`>]+>`", r"\1", text)
    return re.sub(r":(?:doc|ref):`([^`]+)`", lambda match: match[1].replace("_", " "), text)


def make_notebook(text, gallery_conf, folder):
    """Return the notebook of a page, with its pictures in it if the gallery draws any."""
    settings = {**gallery_conf, "notebook_images": bool(gallery_conf["plot_gallery"]), "pypandoc": False}
    return jupyter_notebook(split_page(text), settings, folder)


def write_notebook(app):
    """Write the notebook when the gallery has drawn its pictures."""
    source = Path(app.srcdir)
    text = (source / STORY).read_text(encoding="utf-8")
    notebook = make_notebook(text, app.config.sphinx_gallery_conf, (source / STORY).parent)
    (source / NOTEBOOK).parent.mkdir(exist_ok=True)
    save_notebook(notebook, source / NOTEBOOK)


def setup(app):
    """Connect the writer, after sphinx-gallery's own."""
    app.connect("builder-inited", write_notebook, priority=900)
    return {"parallel_read_safe": True}
