#!/usr/bin/env bash
# What pip cannot bring: installs the missing system packages (Debian), or says which to install.
#   venv and headers of Python, a C++ compiler   meeteval has no wheel and is compiled
#   libpython                                    the stub of Triton's Python backend loads it
#   git                                          a version's lineage names its commit
#   postgresql                                   the tests run MLflow on one of their own
#   bubblewrap                                   the tests run pipelines as a cluster's pods do
#   chromium                                     the tests look at the page with it
# usage: system.sh PYTHON
set -euo pipefail
python=$1

has() { "$python" -c "$1" >/dev/null 2>&1; }
wanted=()
has 'import ensurepip, venv' || wanted+=(python3-venv)
has 'import pathlib, sysconfig, sys
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' || wanted+=(python3-dev)
has 'import ctypes, pathlib, sysconfig
name = "libpython3.11.so.1.0"
local = pathlib.Path(sysconfig.get_config_var("LIBDIR") or "/", name)
ctypes.CDLL(str(local) if local.exists() else name)' || wanted+=(libpython3.11)
command -v g++ >/dev/null || wanted+=(g++)
command -v git >/dev/null || wanted+=(git)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || wanted+=(postgresql)
command -v bwrap >/dev/null || wanted+=(bubblewrap)
command -v chromium >/dev/null || wanted+=(chromium)
[ ${#wanted[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Please install, as root: apt-get install ${wanted[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
command -v apt-get >/dev/null || { echo "Please install the equivalents of these Debian packages: ${wanted[*]}" >&2; exit 2; }
echo "Installing system packages: ${wanted[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
