"""Optional packages: what is said where one is missing."""

import re
from importlib.metadata import PackageNotFoundError, requires

DISTRIBUTION = "protect-pairs"


def missing(what: str, extra: str) -> ImportError:
    """The error of something that needs the packages of an extra, with the command that installs them.

    It names the packages themselves: that works from a checkout too, where no index knows the tool's own name.
    """
    wanted = packages_of(extra)
    names = " and ".join(re.match(r"[\w.-]+", package)[0] for package in wanted)  # type: ignore[index]
    command = " ".join(f"'{package}'" for package in wanted)
    return ImportError(f"{what}: expected {names}, not all found; pip install {command}")


def packages_of(extra: str) -> list[str]:
    """The requirements of an extra of this tool, as its metadata has them."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        lines = []
    marked = (line.partition(";") for line in lines)
    found = [
        package.strip() for package, _, marker in marked if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", marker)
    ]
    return found or [f"{DISTRIBUTION}[{extra}]"]
