"""Settings of the site. It is built by `build.py` from a staged copy; nothing is executed."""

from importlib.metadata import version as installed

import latex2mathml.converter
from docutils import nodes

project = "llmsel"
author = "the llmsel contributors"
copyright = "the llmsel contributors, Apache-2.0"
version = release = installed("llmsel")
extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # players need no kernel; widgets would be loaded from elsewhere
nb_mime_priority_overrides = [("html", "text/html", 0)]
nb_code_prompt_show = "Show code"
nb_code_prompt_hide = "Hide code"
exclude_patterns = ["_build"]
html_theme = "sphinx_book_theme"
html_title = "llmsel"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "navigation_with_keys": True,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
autodoc_default_options = {"ignore-module-all": True, "show-inheritance": True}
autodoc_typehints = "description"
napoleon_use_ivar = True
suppress_warnings = [
    "docutils",  # docstrings are written for a terminal
    "ref.python",
    "mystnb.unknown_mime_type",
]


def _inline(self, node):
    self.body.append(latex2mathml.converter.convert(node.astext()))
    raise nodes.SkipNode


def _block(self, node):
    self.body.append(latex2mathml.converter.convert(node.astext(), display="block"))
    raise nodes.SkipNode


def _as_written(_app, doctree):
    """Show what docutils takes for broken markup as it stands: docstrings are for a terminal."""
    for node in list(doctree.findall(nodes.problematic)):
        node.parent.replace(node, nodes.Text(node.astext()))
    for node in list(doctree.findall(nodes.system_message)):
        node.parent.remove(node)


def setup(app):
    """Write formulas as MathML, which browsers draw themselves."""
    app.connect("doctree-read", _as_written)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
