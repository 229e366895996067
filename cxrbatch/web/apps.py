"""Django's name for this room."""

from django.apps import AppConfig


class WebConfig(AppConfig):
    """The application; its label begins the names of its tables."""

    name = "cxrbatch.web"
    label = "web"
    default_auto_field = "django.db.models.BigAutoField"
