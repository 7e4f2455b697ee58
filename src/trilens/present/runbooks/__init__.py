"""Pages that alerts link to, for the console."""
