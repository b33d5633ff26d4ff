"""Sphinx settings: the site is built and read without network, and every warning is an error."""

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
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "story_notebook",
    "offline_animations",
]
exclude_patterns = ["_build", "examples/README.rst"]
templates_path = ["_templates"]
default_role = "literal"

# Formulas become SVG in the reader's browser; MathJax travels with the site (see _static/mathjax/README.txt).
mathjax_path = "mathjax/startup.js"
mathjax3_config = {
    "loader": {"load": ["core", "input/tex", "output/svg"]},
    "options": {"enableMenu": False},
    "svg": {"fontCache": "local", "scale": 0.95, "displayAlign": "left"},
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # CHANGELOG.md and CONTRIBUTING.md have links of the repository

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_sgdopt"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "sklearn_sgdopt"},
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_version_warning_banner": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "install": []}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_sgdopt",),
    "reference_url": {"sklearn_sgdopt": None},
    "reset_modules": ("gallery_look.plain_look",),
    "within_subsection_order": "gallery_look.LectureOrder",
    "image_srcset": ["2x"],
    "matplotlib_animations": True,
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
