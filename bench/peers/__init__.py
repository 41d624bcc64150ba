"""What a user would otherwise pick, each as its own documentation would have it."""
