"""The local page: where it listens and how much it takes."""

from dataclasses import dataclass

from protect.settings.base import knob, positive


@dataclass(frozen=True)
class WebSettings:
    """Limits of the local page; they keep a mistaken drop from filling the disk."""

    port: int | None = knob(None, "port on 127.0.0.1 that the page is served on", unset="any free one")
    jobs: int | None = knob(None, "processes that protect photos at once", unset="one a core")
    max_files: int = knob(5000, "photos on the page, at most")
    max_file_mb: int = knob(500, "megabytes of one photo, at most")
    max_total_mb: int = knob(50_000, "megabytes of all photos together, at most")

    def __post_init__(self) -> None:
        positive(self, "port", "jobs", "max_files", "max_file_mb", "max_total_mb")
        if self.port is not None and self.port > 65535:
            raise ValueError(f"port: expected 1 to 65535, got {self.port}")
