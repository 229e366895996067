"""Make the tables. The audit trail refuses changes, whoever asks."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("username", models.CharField(max_length=64, unique=True)),
                ("role", models.CharField(default="viewer", max_length=8)),
                ("is_active", models.BooleanField(default=True)),
                ("created", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Invite",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("token_sha256", models.CharField(max_length=64, unique=True)),
                ("username", models.CharField(blank=True, max_length=64)),
                ("role", models.CharField(max_length=8)),
                ("expires", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="LoginFailure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("username", models.CharField(db_index=True, max_length=64)),
                ("address", models.CharField(db_index=True, max_length=45)),
                ("moment", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("patient_key", models.TextField(db_index=True)),
                ("image", models.BigIntegerField()),
                ("username", models.CharField(max_length=64)),
                ("moment", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="TrailEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("moment", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("username", models.CharField(max_length=64)),
                ("action", models.CharField(max_length=32)),
                ("subject", models.CharField(blank=True, max_length=64)),
                ("detail", models.CharField(blank=True, max_length=128)),
                ("address", models.CharField(blank=True, max_length=45)),
            ],
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("created", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UploadedImage",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("name", models.TextField()),
                ("status", models.CharField(db_index=True, default="waiting", max_length=12)),
                ("row", models.JSONField(default=dict)),
                ("flags", models.JSONField(default=list)),
                ("patient_key", models.TextField(blank=True, db_index=True)),
                ("has_picture", models.BooleanField(default=False)),
                ("thumbnail", models.BinaryField(default=bytes)),
                ("finished", models.DateTimeField(null=True)),
                (
                    "upload",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="images", to="web.upload"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(
            "CREATE TRIGGER trail_is_not_changed BEFORE UPDATE ON web_trailentry "
            "BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END;"
            "CREATE TRIGGER trail_is_not_deleted BEFORE DELETE ON web_trailentry "
            "BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END;",
            "DROP TRIGGER trail_is_not_changed; DROP TRIGGER trail_is_not_deleted;",
        ),
    ]
