"""Keeping a home: one archive of all that cannot be made again, and what may be removed.

archive.py     the archive: a tar whose last file is a manifest with everything's digest
databases.py   copies of databases, taken while others write
backup.py      a home becomes an archive, and an archive a home
pruning.py     what local runs left, and may go
"""

from pipelines.keeping.archive import Manifest, check_archive
from pipelines.keeping.backup import Folder, Home, Tables, back_up, restore
from pipelines.keeping.pruning import Leftover, plan_runs, prune_runs
