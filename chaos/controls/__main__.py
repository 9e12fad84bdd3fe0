"""`python -m chaos.controls`: try every negative control; exit code 0 where each was caught and the right one passed.

With `--json` one JSON object a line, for the fault report.
"""

import json
import sys
from dataclasses import asdict

from chaos.controls import run_all


def main() -> int:
    """Print a table: control, what it breaks, what the judge found, whether the right implementation passes."""
    results = run_all()
    if "--json" in sys.argv[1:]:
        for result in results:
            print(json.dumps(asdict(result) | {"ok": result.ok}))
    else:
        print("| control | breaks | caught by | the right one passes |\n|---|---|---|---|")
        for result in results:
            right = "yes" if result.right_passes else "no: " + "; ".join(result.right_violations)
            print(f"| {result.control} | {', '.join(result.breaks)} | {', '.join(result.caught_by)} | {right} |")
    return 0 if all(result.ok for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
