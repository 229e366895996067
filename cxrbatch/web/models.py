"""Tables of ``web.sqlite``: users and their invitations, uploads with their results, the audit trail.

Nothing of the nightly runs is here: that is in the state. What belongs to a patient has the column ``patient_key``,
by which `cxrbatch.web.upkeep.forget_in_web` finds it.
"""

import uuid
from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class Role(StrEnum):
    """What a user may do; each may do what those before it may."""

    VIEWER = "viewer"
    TESTER = "tester"
    ADMIN = "admin"

    def may(self, role: "Role") -> bool:
        """Check whether this role includes another one."""
        order = list(Role)
        return order.index(self) >= order.index(role)


ROLE_MEANING = {
    Role.VIEWER: "sees lists and patients, uploads radiographs",
    Role.TESTER: "also enters swabs, results and what was looked at",
    Role.ADMIN: "also manages users and reads the audit trail",
}


class User(AbstractBaseUser):
    """A person who may sign in."""

    username = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=8, default=Role.VIEWER.value)
    is_active = models.BooleanField(default=True)
    created = models.DateTimeField(default=timezone.now)

    objects = BaseUserManager()
    USERNAME_FIELD = "username"

    def may(self, role: str) -> bool:
        """Check whether the user has a role, or one that includes it."""
        return Role(self.role).may(Role(role))


class Invite(models.Model):
    """A link by which one person sets a password, once."""

    token_sha256 = models.CharField(max_length=64, unique=True)
    username = models.CharField(max_length=64, blank=True)
    role = models.CharField(max_length=8)
    expires = models.DateTimeField()


class LoginFailure(models.Model):
    """A sign-in that failed; counted for the lock-out, deleted after a success."""

    username = models.CharField(max_length=64, db_index=True)
    address = models.CharField(max_length=45, db_index=True)
    moment = models.DateTimeField(default=timezone.now)


class Upload(models.Model):
    """Images that a user uploaded together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    created = models.DateTimeField(default=timezone.now, db_index=True)


class Status(StrEnum):
    """What has become of an uploaded image."""

    WAITING = "waiting"
    SCORED = "scored"
    NOT_SCORED = "not_scored"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


class UploadedImage(models.Model):
    """An uploaded file with its outcome.

    ``row`` has the columns of ``report.files.csv``, ``thumbnail`` is a JPEG of the network's input, ``maps`` has
    PNGs of where it looked (base64) by question, null until they are made. ``finished`` is when the row last changed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="images")
    number = models.PositiveIntegerField()
    name = models.TextField()
    status = models.CharField(max_length=12, default=Status.WAITING.value, db_index=True)
    row = models.JSONField(default=dict)
    flags = models.JSONField(default=list)
    patient_key = models.TextField(blank=True, db_index=True)
    has_picture = models.BooleanField(default=False)
    thumbnail = models.BinaryField(default=bytes)
    finished = models.DateTimeField(null=True)
    maps = models.JSONField(null=True, default=None)
    outside_lungs = models.FloatField(null=True, default=None)


class Review(models.Model):
    """A radiograph without a score that a person has looked at; of another image of the patient it says nothing."""

    patient_key = models.TextField(db_index=True)
    image = models.BigIntegerField()
    username = models.CharField(max_length=64)
    moment = models.DateTimeField(default=timezone.now)


class TrailEntry(models.Model):
    """Who saw or changed what. Rows are only added: triggers refuse anything else.

    ``subject`` names no patient: it is the run and position of a list, or the number of an upload.
    """

    moment = models.DateTimeField(default=timezone.now, db_index=True)
    username = models.CharField(max_length=64)
    action = models.CharField(max_length=32)
    subject = models.CharField(max_length=64, blank=True)
    detail = models.CharField(max_length=128, blank=True)
    address = models.CharField(max_length=45, blank=True)
