"""The implementation of the public API; `vocscore/__init__.py` lists its names."""
