"""Steps that make and change the tables of ``web.sqlite``."""
