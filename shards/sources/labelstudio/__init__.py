"""Reads Label Studio's exports as JSON and JSON-MIN."""
