"""Input of the sections: runs, groups and predictions."""
