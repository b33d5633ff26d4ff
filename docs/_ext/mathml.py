"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
ACCENT = re.compile(r"\\(hat|tilde|bar)\s*(?:\{(\\?\w+)\}|(\\[a-zA-Z]+|\w))")


def convert(node, *, display):
    """Return a math node as MathML."""
    # The converter puts an index below an accented letter unless letter and accent are grouped.
    tex = ACCENT.sub(lambda found: rf"{{\{found[1]}{{{found[2] or found[3]}}}}}", node.astext())
    try:
        return tex2mathml(tex, as_block=display)
    except Exception as error:
        logger.warning("cannot convert the formula %r: %s", tex, error, location=node)
        return f"<code>{tex}</code>"


def visit_math(translator, node):
    """Write a formula within a line."""
    translator.body.append(convert(node, display=False))
    raise SkipNode


def visit_displaymath(translator, node):
    """Write a formula that stands alone."""
    translator.body.append(f'<div class="formula">{convert(node, display=True)}</div>\n')
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
