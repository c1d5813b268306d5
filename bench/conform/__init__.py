"""What every method, defense and net must keep, checked on toy images: the suite's own and others'."""
