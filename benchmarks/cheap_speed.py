"""What `protect verify --cheap` takes on 6,491 photos of 144 px: seconds, those of the processor, peak memory.

    python benchmarks/cheap_speed.py

On a busy machine only the seconds of the processor say something.
"""

import argparse

from common import DATA, ROOT, RUNS, make, protect, save, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    clean, published = DATA / "flickr8k/train", RUNS / "flickr144"
    make(published, ["--urls", "strip", "-q"], clean)
    row = protect("verify", clean, published, "--cheap", "--out", RUNS / "cheap", threads=settings.threads)
    print(table([row]))
    print(save("cheap_speed", {"photos": 6491, **vars(settings)}, {"rows": [row]}).relative_to(ROOT))


if __name__ == "__main__":
    main()
