"""What `import vocscore` offers; `vocscore/__init__.py` names all of it."""
