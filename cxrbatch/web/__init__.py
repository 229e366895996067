"""Serve the pages: uploads of radiographs, the night's list, results entered by hand.

Django and the server are an extra (``pip install 'cxrbatch[web]'``): this door opens without them.
"""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names

if TYPE_CHECKING:
    from cxrbatch.web.options import ServeOptions
    from cxrbatch.web.server import serve
    from cxrbatch.web.upkeep import back_up_web, forget_in_web

__all__ = ["ServeOptions", "back_up_web", "forget_in_web", "serve"]

__getattr__ = lazy_names(
    __name__,
    options=("ServeOptions",),
    server=("serve",),
    upkeep=("back_up_web", "forget_in_web"),
)
