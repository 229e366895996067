"""What a release is made of, by ``make release``: wheel, source distribution, locks, SBOM, licences, checksums.

``lock`` reads what is pinned, ``licences`` writes the table of docs/licences.md, ``sbom`` lists what is pinned as
CycloneDX JSON, ``build`` makes the archives. The same commit gives the same bytes with the same Python and the pinned
setuptools, in any folder, at any time and under any umask.
"""
