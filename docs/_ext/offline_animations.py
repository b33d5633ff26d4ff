"""Animations in pages that are read without network.

Matplotlib's HTML for an animation fetches the icons of its buttons from another site; the theme has the same
icons. Its picture has no description.
"""

import re

ICONS = re.compile(r'<link rel="stylesheet"\s+href="[^"]*font-awesome[^"]*">')
PICTURE = re.compile(r'<img id="(_anim_img\w+)">')


def plain_animations(app, pagename, templatename, context, doctree):
    """Let the animations of a page do without the other site, and say what they show."""
    if "_anim_img" in context.get("body", ""):
        body = ICONS.sub("", context["body"])
        context["body"] = PICTURE.sub(r'<img id="\1" alt="Animation, with its controls below">', body)


def setup(app):
    """Connect the handler."""
    app.connect("html-page-context", plain_animations)
    return {"parallel_read_safe": True}
