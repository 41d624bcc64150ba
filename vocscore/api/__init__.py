"""What a Python program calls: `import vocscore` hands these names out."""
