"""Sphinx settings: the site is built without network, and every warning is an error."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import sklearn_sgdopt

project = "sklearn_sgdopt"
author = "The sklearn_sgdopt developers"
copyright = author  # noqa: A001
release = version = sklearn_sgdopt.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
exclude_patterns = ["_build", "examples/README.rst"]
templates_path = ["_templates"]
default_role = "literal"
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_sgdopt"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "sklearn_sgdopt"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "install": [], "coming_from": []}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_sgdopt",),
    "reference_url": {"sklearn_sgdopt": None},
    "reset_modules": ("gallery_look.plain_look",),
    "within_subsection_order": "ExampleTitleSortKey",
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "remove_config_comments": True,
}


def plain_references(app, what, name, obj, options, lines):
    """Turn links into scikit-learn's user guide, which need its inventory, into plain text."""
    text = "\n".join(lines)
    text = re.sub(r":(?:ref|term|doc):`([^`<]+?)\s*<[^`>]+>`", r"\1", text)
    text = re.sub(r":(?:ref|term|doc):`([^`]+)`", r"\1", text)
    lines[:] = text.split("\n")


def setup(app):
    """Connect the handler."""
    app.connect("autodoc-process-docstring", plain_references)
