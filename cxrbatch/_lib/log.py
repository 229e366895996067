"""Mark log lines that only people need: a log collector finds what they say in the fields of the last line."""

FOR_PEOPLE = {"event": "for_people"}
"""Value of ``extra`` for such a line; the command line shows it as text, never as JSON."""
