"""Golden numbers: what small runs of all parts of the suite gave at their revisions, see README.md."""
