"""List what is pinned as a software bill of materials: CycloneDX 1.6, JSON.

Packages of the default install are ``required``, those of extras ``optional``. A package has many files, one for each
platform and Python: their hashes stand at a reference of the type ``distribution``, since those of a component itself
are of one file.
"""

import datetime as dt
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from release.lock import DEFAULT, Pin, needed_for

Licences = Mapping[tuple[str, str], str]
"""Expression of SPDX by name and version of a package."""

_OWN_LICENCE = "MIT AND LicenseRef-cxrbatch-weights"


def sbom(version: str, moment: dt.datetime, pins: Iterable[Pin], licences: Licences) -> str:
    """Write the bill of materials of a release.

    Parameters
    ----------
    version : str
        Of cxrbatch.
    moment : datetime
        Of the commit, with its time zone.

    Returns
    -------
    str
        JSON; the same for the same arguments.
    """
    pins = list(pins)
    reasons = needed_for(pins)
    own = _component("cxrbatch", version, _OWN_LICENCE, type=ComponentType.APPLICATION)
    bom = Bom()
    bom.metadata.component = own
    bom.metadata.timestamp = moment
    components: dict[str, list[Component]] = defaultdict(list)
    for pin in pins:
        component = _package(pin, licences[pin.name, pin.version], reasons[pin.name])
        components[pin.name].append(component)
        bom.components.add(component)
    for pin in pins:
        for asking in pin.asked_by:
            for component in components.get(asking, [own] if asking == "cxrbatch" else []):
                bom.register_dependency(component, components[pin.name])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, _without_serial(bom))
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _without_serial(bom: Bom) -> str:
    content = json.loads(JsonV1Dot6(bom).output_as_string())
    del content["serialNumber"]
    return json.dumps(content, sort_keys=True)


def _package(pin: Pin, licence: str, reasons: tuple[str, ...]) -> Component:
    component = _component(
        pin.name,
        pin.version,
        licence,
        scope=ComponentScope.REQUIRED if reasons == (DEFAULT,) else ComponentScope.OPTIONAL,
    )
    component.external_references.add(
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(str(component.purl)),
            comment="one of these files, by platform and version of Python",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
        )
    )
    stated = {"needed-for": ", ".join(reasons), "marker": pin.marker}
    component.properties.update(
        Property(name=f"cxrbatch:{name}", value=value) for name, value in stated.items() if value
    )
    return component


def _component(
    name: str,
    version: str,
    licence: str,
    *,
    type: ComponentType = ComponentType.LIBRARY,
    scope: ComponentScope | None = None,
) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=type,
        scope=scope,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(licence)],
    )
