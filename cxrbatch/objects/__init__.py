"""Objects of S3 buckets, through pyarrow: a prefix in, found files out; an object in, a file in memory out.

pyarrow is imported when the first object is asked for, and not before.
"""

from cxrbatch.objects.client import digest_of_environment, require_place, start_client, wrong_environment
from cxrbatch.objects.listing import walk_objects
from cxrbatch.objects.reading import N_REQUESTS, hold_object, is_there, read_head

__all__ = [
    "N_REQUESTS",
    "digest_of_environment",
    "hold_object",
    "is_there",
    "read_head",
    "require_place",
    "start_client",
    "walk_objects",
    "wrong_environment",
]
