"""The Python API: what `import vocscore` offers, each name in a module of its own."""
