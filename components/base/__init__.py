"""The ground that every room stands on: errors, files, other people's text, a cache, a database.

It knows nothing of conversations, models or pipelines.
"""

from components.base.addresses import database_address, masked, server_address
from components.base.batches import in_halves
from components.base.cache import Cache, file_digest, json_digest, owned_folder, tree_digest
from components.base.cores import MOST_AT_ONCE, allowed_cores, cores, one_core, process_cores
from components.base.database import (
    Database,
    DatabaseAwayError,
    check_database,
    database_errors,
    in_utc,
    sqlite_path,
    sqlite_url,
)
from components.base.ending import end_as_by_ctrl_c, end_quickly
from components.base.errors import (
    DiskFull,
    InputError,
    MoodlineError,
    Refused,
    StepFailed,
    Stopped,
    Unavailable,
)
from components.base.events import EVENTS, Event, EventReader, Failure, report
from components.base.files import (
    STDOUT,
    atomic_path,
    check_new_folder,
    check_writable,
    close_to_others,
    is_disk_full,
    link_or_copy,
)
from components.base.logs import LOG_FORMAT, log_as_json, logs_are_json
from components.base.migration import migrated
from components.base.reading import (
    Name,
    Number,
    check_named_once,
    first_fault,
    parse_json,
    parse_yaml,
    read_json,
    read_text,
    validate,
)
from components.base.schema import Schema
from components.base.scratch import at_hand, object_state
from components.base.stages import (
    NATIVE_THREADS,
    Spent,
    Stages,
    charge,
    counted,
    spent_on,
    watched,
)
from components.base.storage import (
    Location,
    Url,
    all_files,
    beside,
    delete_file,
    files_in,
    folders_in,
    located,
    write_file,
)
from components.base.storage_faults import MissingError
from components.base.transfer import copy_from, copy_to, delete_all, is_part
