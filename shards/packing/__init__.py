"""From samples to shards: survey, check, write, commit, resume."""
