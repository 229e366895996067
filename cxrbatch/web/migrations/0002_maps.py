"""Maps of where the network looked, beside the results of uploads."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two columns."""

    dependencies = [("web", "0001_initial")]

    operations = [
        migrations.AddField("UploadedImage", "maps", models.JSONField(default=None, null=True)),
        migrations.AddField("UploadedImage", "outside_lungs", models.FloatField(default=None, null=True)),
    ]
