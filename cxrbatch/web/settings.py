"""Make the settings of Django from the options of the service: there is no settings module and no environment."""

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cxrbatch.errors import StateError
from cxrbatch.web.options import LOOPBACK, ServeOptions

_LIFE_S = 12 * 3600
_HSTS_S = 365 * 24 * 3600
_KEY_CHARACTERS = 64
_IN_MEMORY_BYTES = 1 << 20


def make_settings(options: ServeOptions) -> dict[str, Any]:
    """Make all settings; with a URL of https they are those of a deployment (``check --deploy``)."""
    return {
        "CXRBATCH": options,
        "DEBUG": False,
        "SECRET_KEY": read_key(options.key_file),
        "ROOT_URLCONF": "cxrbatch.web.urls",
        "INSTALLED_APPS": [
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "cxrbatch.web.apps.WebConfig",
        ],
        "AUTH_USER_MODEL": "web.User",
        "AUTH_PASSWORD_VALIDATORS": [
            {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": content}
            for name, content in _VALIDATORS.items()
        ],
        "LOGIN_URL": "login",
        "LOGIN_REDIRECT_URL": "home",
        "LOGOUT_REDIRECT_URL": "login",
        "DATABASES": {"default": _database(options.database)},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.jinja2.Jinja2",
                "OPTIONS": {
                    "environment": "cxrbatch.web.environment.make_pages",
                    "context_processors": ["cxrbatch.web.environment.on_every_page"],
                },
            }
        ],
        "MIDDLEWARE": _middleware(options),
        "USE_TZ": True,
        "USE_I18N": False,
        "TIME_ZONE": "UTC",
        "LOGGING_CONFIG": None,  # Django's own would write paths and addresses to stderr
        **_security(options),
        **_uploads(options),
    }


_VALIDATORS: dict[str, dict[str, int]] = {
    "UserAttributeSimilarityValidator": {},
    "MinimumLengthValidator": {"min_length": 12},
    "CommonPasswordValidator": {},
    "NumericPasswordValidator": {},
}


def _middleware(options: ServeOptions) -> list[str]:
    signed_in = "DemoUserMiddleware" if options.demo else "SessionEndMiddleware"
    return [
        "django.middleware.security.SecurityMiddleware",
        "cxrbatch.web.middleware.ContentPolicyMiddleware",
        "cxrbatch.web.middleware.SpoolMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        f"cxrbatch.web.middleware.{signed_in}",
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "cxrbatch.web.middleware.ErrorMiddleware",
    ]


def _database(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": None,  # one connection for each thread: opening one costs more than what is asked
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON",
        },
    }


def _security(options: ServeOptions) -> dict[str, Any]:
    public = urlsplit(options.url)
    is_secure = bool(options.url)
    return {
        "ALLOWED_HOSTS": [*LOOPBACK[:2], "[::1]", *([public.hostname] if is_secure else [])],
        "CSRF_TRUSTED_ORIGINS": [options.url.rstrip("/")] if is_secure else [],
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https") if is_secure else None,
        "SECURE_SSL_REDIRECT": is_secure,
        "SECURE_HSTS_SECONDS": _HSTS_S if is_secure else 0,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": is_secure,
        "SECURE_HSTS_PRELOAD": is_secure,
        "SECURE_REFERRER_POLICY": "same-origin",
        "SECURE_CROSS_ORIGIN_OPENER_POLICY": "same-origin",
        "X_FRAME_OPTIONS": "DENY",
        # The prefix keeps other hosts of the domain from setting the cookie; browsers take it over TLS only.
        "SESSION_ENGINE": "django.contrib.sessions.backends.cached_db",
        "SESSION_COOKIE_NAME": "__Host-session" if is_secure else "cxrbatch_session",
        "CSRF_COOKIE_NAME": "__Host-csrf" if is_secure else "cxrbatch_csrf",
        "SESSION_COOKIE_SECURE": is_secure,
        "CSRF_COOKIE_SECURE": is_secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "CSRF_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_AGE": _LIFE_S,
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
        "CSRF_FAILURE_VIEW": "cxrbatch.web.views.errors.csrf_failure",
    }


def _uploads(options: ServeOptions) -> dict[str, Any]:
    return {
        "FILE_UPLOAD_HANDLERS": ["cxrbatch.web.intake.SpoolHandler"],
        "FILE_UPLOAD_PERMISSIONS": 0o600,
        "FILE_UPLOAD_TEMP_DIR": str(options.spool),
        "DATA_UPLOAD_MAX_MEMORY_SIZE": _IN_MEMORY_BYTES,  # of fields that are no files
        "DATA_UPLOAD_MAX_NUMBER_FILES": options.max_queue,
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": options.max_queue + 16,
    }


def read_key(path: Path) -> str:
    """Read the key that signs sessions; it is made where it is missing, for its owner only.

    Raises
    ------
    StateError
        The file cannot be made or read.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="ascii") as stream:
            key = stream.read().strip()
            if len(key) < _KEY_CHARACTERS:
                key = secrets.token_urlsafe(_KEY_CHARACTERS)
                stream.seek(0)
                stream.write(key + "\n")
                stream.truncate()
            return key
    except (OSError, UnicodeError) as error:
        raise StateError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
