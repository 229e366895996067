"""Start the service: options in, pages under an address until the process is ended."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from cxrbatch._lib.text import visible
from cxrbatch.errors import UsageProblem
from cxrbatch.state import lock_path, locked
from cxrbatch.web.options import ServeOptions
from cxrbatch.web.restored import check_files, migrate_database

_LOG = logging.getLogger(__name__)
_THREADS = 8
_CONNECTIONS = 200
_IDLE_S = 60
_FORM_BYTES = 1 << 20


def serve(options: ServeOptions, announce: Callable[[str], object] = print) -> None:
    """Serve the pages until the process is interrupted.

    Parameters
    ----------
    announce : callable
        Gets one line: where the pages are, and for the first admin the one-time link.

    Raises
    ------
    UsageProblem
        The extra is not installed, or the address is in use.
    Locked
        Another server uses this folder.
    """
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(lock_path(options.database), f"web pages of {visible(str(options.folder))}"):
        application = make_application(options)
        _serve(application, options, announce)


def make_application(options: ServeOptions) -> Any:
    """Set Django up with its database, and return the WSGI application.

    Raises
    ------
    UsageProblem
        The extra is not installed.
    StateError
        The state or the database is damaged, or a newer cxrbatch wrote it.
    """
    try:
        import django
        import waitress  # noqa: F401
        import whitenoise  # noqa: F401
        from django.conf import settings
    except ImportError as error:
        raise UsageProblem(f"{error.name} is missing: pip install 'cxrbatch[web]'") from error
    from cxrbatch.web import spool
    from cxrbatch.web.settings import make_settings

    check_files(options)
    os.umask(os.umask(0o077) | 0o077)  # what SQLite makes beside its file, and what waitress buffers
    settings.configure(**make_settings(options))
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    spool.open_spool(options.spool)
    migrate_database(options)
    return with_static_files(WSGIHandler())


def with_static_files(application: Any) -> Any:
    """Serve styles and scripts of the package under ``/static/``."""
    from whitenoise import WhiteNoise

    from cxrbatch.web.static_files import STATIC_FILES

    served = WhiteNoise(application, max_age=3600, allow_all_origins=False)
    for name, path in STATIC_FILES.items():
        served.add_file_to_dictionary(f"/static/{name}", str(path))
    return served


def _serve(application: Any, options: ServeOptions, announce: Callable[[str], object]) -> None:
    from waitress.server import create_server

    from cxrbatch.web import outcomes
    from cxrbatch.web.desk import Desk
    from cxrbatch.web.service import set_desk

    tempfile.tempdir = str(options.spool)  # waitress buffers large forms: nothing of a patient goes to TMPDIR
    if n := outcomes.mark_interrupted():
        _LOG.warning("%d images had no result when the server was stopped; they say so", n)
    desk = Desk(
        options,
        lambda finished: outcomes.store_outcomes(options, finished),
        outcomes.give_up,
        outcomes.store_maps,
    )
    set_desk(desk)
    try:
        server = create_server(application, **_waitress(options))
    except OSError as error:
        raise UsageProblem(f"--host {options.host} --port {options.port}: {error.strerror}") from error
    desk.start()
    try:
        announce(_greeting(options, server.effective_port))
        sys.stdout.flush()
        server.run()
    finally:
        desk.stop()
        server.close()


def _waitress(options: ServeOptions) -> dict[str, Any]:
    """Make the options of the server; headers of a proxy are believed on this machine only."""
    proxy = {
        "trusted_proxy": "127.0.0.1",
        "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"},
        "clear_untrusted_proxy_headers": True,
    }
    return {
        "host": options.host,
        "port": options.port,
        "threads": _THREADS,
        "connection_limit": _CONNECTIONS,
        "channel_timeout": _IDLE_S,
        "max_request_body_size": options.max_upload_bytes + _FORM_BYTES,
        "max_request_header_size": 32 << 10,
        "recv_bytes": 64 << 10,
        "ident": "",
        "expose_tracebacks": False,
        **(proxy if options.url else {"clear_untrusted_proxy_headers": True}),
    }


def _greeting(options: ServeOptions, port: int) -> str:
    from cxrbatch.web import accounts
    from cxrbatch.web.models import Role, User

    host = f"[{options.host}]" if ":" in options.host else options.host
    address = options.url.rstrip("/") or f"http://{host}:{port}"
    if options.demo or User.objects.filter(is_active=True).exists():
        return f"{address}/"
    link = f"{address}/welcome/{accounts.make_invite(Role.ADMIN)}/"
    return f"no user yet; set up the first admin, once, within 24 h: {link}"
