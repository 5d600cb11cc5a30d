"""What asked for a retraining, what became of it, and how far a run on this machine is.

The trigger writes it; whoever shows it reads.
"""

from components.retrainings.folders import PID, RESULT, run_state
from components.retrainings.ledger import SCHEMA, Entry, Ledger, read_entries
