"""The command line: `moodline --help`."""
