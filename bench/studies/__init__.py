"""Studies: questions that need more than one setting, each one command."""
