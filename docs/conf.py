"""The documentation site: `make docs` builds it into build/docs, with every warning an error.

Pages that must not get out of date are written from the package itself, into `_generated`, each time the site is built.
"""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from api_pages import api_pages  # noqa: E402
from model_pages import model_pages  # noqa: E402
from written import copy_notebooks, further_pages, write  # noqa: E402

write(HERE / "_generated", model_pages() | api_pages())
copy_notebooks(HERE.parent / "notebooks", HERE / "_notebooks")

project = "bayes_listexp"
author = "the authors of bayes_listexp"
version = release = installed("bayes-listexp")
language = "en-GB"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "docstrings", "mathml"]
exclude_patterns = ["_ext"]
html_theme = "pydata_sphinx_theme"
html_title = "bayes_listexp"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "bayes_listexp"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": [],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True

autosummary_generate = False
toc_object_entries = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"


def _list_further(app, name, source):
    if name == "evidence":
        source[0] = source[0].replace("comparison\n", "\n".join(["comparison", *further_pages(HERE), ""]))


def setup(app):
    """List new pages of the folder with those on how right the estimates are, until somebody finds a better place for them."""
    app.connect("source-read", _list_further)
