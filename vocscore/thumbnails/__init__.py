"""Thumbnails: small images of the rows of a table, for the page and the report."""
