"""Packs samples into shards: survey, check, write, commit, resume."""
