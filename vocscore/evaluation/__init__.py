"""Evaluation: compares predictions with labels."""
