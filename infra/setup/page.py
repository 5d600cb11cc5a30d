"""Renews the libraries that the page at `/` is served with: `make page`.

npm fetches the package as it was released, and it is held to its published digest. Nothing is
built: the files are ES modules. Beside them stand the licence and the list of their SHA-256. Only
who renews them needs npm.
"""

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "serving" / "api" / "page" / "vendor"
NAME, VERSION = "wavesurfer.js", "7.12.12"
SHA512 = "fyKNuREQTliCl4b9w7pUzpFXQIkX5tcdYu1o6vBdH+NlUXvTxshvfbG2hj8OxDevzQNZlDTHzZGyAT3FhuutWw=="
TAKEN = {
    "package/dist/wavesurfer.esm.js": "wavesurfer.esm.js",
    "package/dist/plugins/zoom.esm.js": "zoom.esm.js",
    "package/LICENSE": "LICENSE",
}
LIST = "SHA256SUMS"


def main() -> int:
    """Fetch the package and write its files anew; 1 if it is not what was published."""
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not there; it fetches the package", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"{NAME}@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (file,) = Path(folder).iterdir()
        packed = file.read_bytes()
    if base64.b64encode(hashlib.sha512(packed).digest()).decode() != SHA512:
        print(f"{NAME} {VERSION}: is not the package that was published; nothing was changed")
        return 1
    VENDOR.mkdir(parents=True, exist_ok=True)
    sums = [f"# {NAME} {VERSION}, BSD-3-Clause, https://wavesurfer.xyz"]
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        for source, target in TAKEN.items():
            member = package.extractfile(source)
            assert member is not None, source
            content = member.read()
            (VENDOR / target).write_bytes(content)
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {target}")
    (VENDOR / LIST).write_text("\n".join(sums) + "\n", encoding="utf-8")
    print(f"{VENDOR}: {NAME} {VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
