"""Columns: predictions as memory-mapped arrays, for pages and reports over millions of rows."""
