"""`python -m release`: build what a release consists of into dist/, and say what it is."""

import argparse
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from release.build import build
from release.changelog import check
from release.sbom import write_sbom
from release.tools import ReleaseError

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Build; returns the exit code: 0, or 1 where it cannot be released, and why is said."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Builds what a release consists of.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for it (default: dist/)")
    args = parser.parse_args(argv)
    try:
        version = check(ROOT)
        args.out.mkdir(parents=True, exist_ok=True)
        files = [*build(ROOT, args.out, version), write_sbom(ROOT, args.out)]
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(f"Version {version}:")
    for file in files:
        print(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
