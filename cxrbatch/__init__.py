"""Nightly COVID-19 triage of chest radiographs.

One way through the package: ``discover`` → ``read`` → ``gate`` → ``preprocess`` → ``infer`` →
``aggregate`` → ``report``, composed by ``screen``.
"""

__version__ = "0.1.0"
