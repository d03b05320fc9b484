"""Bytes of the deployed package: as it is zipped and unzipped, beside botocore as it is installed. Prints one line of JSON."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import botocore

from snapkeep.deploy.package import build_package

LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024
"""Unzipped, layers included (AWS Lambda quotas)."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="snapkeep-bench-") as workshop:
        return measure(Path(workshop) / "functions")


def measure(folder: Path) -> int:
    package = build_package(folder, run_here=True)
    installed = sum(
        path.stat().st_size for path in Path(botocore.__file__).parent.rglob("*") if path.suffix != ".pyc" and path.is_file()
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    source = sum(path.stat().st_size for path in files if path.suffix != ".pyc")
    result = {
        "bench": "package",
        "bytes_zipped": package.bytes_zipped,
        "bytes_unzipped": package.bytes_unzipped,
        "bytes_without_bytecode": source,
        "files": len(files),
        "compiled_for": package.compiled_for,
        "botocore_installed_bytes": installed,
        "ratio_to_botocore": round(package.bytes_unzipped / installed, 3),
        "ratio_to_lambda_limit": round(package.bytes_unzipped / LAMBDA_LIMIT_BYTES, 4),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
